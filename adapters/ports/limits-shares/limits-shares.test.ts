import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LimitAnswer } from '../../../data-plane/limits/limiter.ts'
import { counterOf, limitFor } from '../../../data-plane/limits/test-limits.ts'
import type { Shares } from '../../../schema/link-shares.ts'
import { ShareFiles } from './files.ts'
import { SharesLimiter } from './limiter.ts'

let dir: string
let nowMs: number
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-shares-'))
  nowMs = 1_800_000_000_000
})
afterEach(() => rmSync(dir, { recursive: true }))

const start = () =>
  new SharesLimiter({
    files: new ShareFiles(dir),
    clock: { now: () => nowMs, monotonic: () => nowMs - 1_800_000_000_000 },
  })
const dealt = (change: Partial<Shares>): Shares => ({
  ...{ type: 'shares', tenant: 'ten_1', deal: 1, at: 0, of: 1, settled: true, holds: true, fresh: false },
  ...change,
})
const day = 86_400_000
const daily = counterOf(limitFor('REQUESTS', 24, day, { burst: 11 }))
const taken = (answer: LimitAnswer) => 'taken' in answer && answer.taken

function admitted(limiter: SharesLimiter, tries = 40): number {
  return Array.from({ length: tries }, () => limiter.take('ten_1', [{ counter: daily, units: 1 }])).filter(taken).length
}

describe('a share of rate limits', () => {
  it('is nothing until it was dealt, and the whole with full buckets where nobody else ever had any', () => {
    const limiter = start()
    expect(limiter.take('ten_1', [{ counter: daily, units: 1 }])).toHaveProperty('away')
    limiter.dealt(dealt({ fresh: true }))
    expect([limiter.sharing, admitted(limiter)]).toEqual(['SINGLE_PLANE', 12])
  })

  it('is the least of what it was and will be until the deal is settled, and says when that is in force', () => {
    const said: object[] = []
    const limiter = start()
    limiter.linkOpened((taken) => said.push(taken))
    limiter.dealt(dealt({ fresh: true }))
    limiter.dealt(dealt({ deal: 2, of: 3, settled: false }))
    expect([limiter.sharing, said]).toEqual(['SHARES', [{ tenant: 'ten_1', deal: 2, leaving: false }]])
    expect(admitted(limiter)).toBe(4)
  })

  it('is nothing for one whose part was dealt to others meanwhile, until the deal is settled', () => {
    const limiter = start()
    limiter.dealt(dealt({ fresh: true }))
    limiter.dealt(dealt({ deal: 5, of: 2, settled: false, holds: false }))
    expect(admitted(limiter)).toBe(0)
    limiter.dealt(dealt({ deal: 5, of: 2 }))
    nowMs += day / 12
    expect(admitted(limiter)).toBe(1)
  })

  it('is known after a start without a control plane: with its counters after a stop, with empty buckets after a crash', () => {
    const first = start()
    first.dealt(dealt({ fresh: true }))
    expect(admitted(first, 5)).toBe(5)
    first.stop()
    const second = start()
    expect([second.knows('ten_1'), admitted(second)]).toEqual([true, 7])
    // Nothing is said of the end of the second.
    const third = start()
    expect([third.knows('ten_1'), admitted(third)]).toEqual([true, 0])
    nowMs += day / 24
    expect(admitted(third)).toBe(1)
  })

  it('that was given back is not used after a start until it is dealt again', () => {
    const first = start()
    first.dealt(dealt({ of: 2, fresh: true }))
    first.stop()
    const second = start()
    expect([second.knows('ten_1'), admitted(second)]).toEqual([false, 0])
  })

  it('is given back when it stops, and after that nothing is taken any more', () => {
    const said: object[] = []
    const limiter = start()
    limiter.linkOpened((taken) => said.push(taken))
    limiter.dealt(dealt({ deal: 3, fresh: true }))
    limiter.stop()
    expect(said).toEqual([{ tenant: 'ten_1', deal: 3, leaving: true }])
  })
})
