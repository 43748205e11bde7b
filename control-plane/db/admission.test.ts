import { describe, expect, it } from 'vitest'
import { Admission } from './admission.ts'
import { troubleOf } from './trouble.ts'

/** Work that is done when it is told so. */
function task() {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { work: () => promise, finish: resolve }
}

describe('admission', () => {
  it('lets so many in at a time and the others in their order', async () => {
    const admission = new Admission({ places: 2, waitingMax: 10, waitTimeoutMs: 10_000 })
    const tasks = Array.from({ length: 5 }, task)
    const entered: number[] = []
    const runs = tasks.map(({ work }, index) =>
      admission.run(async () => {
        entered.push(index)
        await work()
      }),
    )
    await Promise.resolve()
    expect(entered).toEqual([0, 1])
    tasks[1]!.finish()
    await runs[1]
    await expect.poll(() => entered).toEqual([0, 1, 2])
    for (const { finish } of tasks) finish()
    await Promise.all(runs)
    expect(entered).toEqual([0, 1, 2, 3, 4])
  })

  it('sends away who would wait as one too many or for too long, as a server without a free connection does', async () => {
    const admission = new Admission({ places: 1, waitingMax: 1, waitTimeoutMs: 20 })
    const first = task()
    const running = admission.run(first.work)
    const late = admission.run(async () => 'in').catch(troubleOf)
    expect(await admission.run(async () => 'in').catch(troubleOf)).toBe('BUSY')
    expect(await late).toBe('BUSY')
    first.finish()
    await running
    expect(await admission.run(async () => 'in')).toBe('in')
  })

  it('gives the place of work that failed to the next', async () => {
    const admission = new Admission({ places: 1, waitingMax: 1, waitTimeoutMs: 1_000 })
    const failing = admission.run(() => Promise.reject(new Error('no')))
    const next = admission.run(async () => 'in')
    await expect(failing).rejects.toThrow('no')
    expect(await next).toBe('in')
  })
})
