import { describe, expect, it } from 'vitest'
import type { LeaseCall } from '../../../schema/link-lease.ts'
import { CallWindow, underWayMax } from './call-window.ts'

const want = { budget: 'b', subject: null, missing: '1', perSecond: '0', next: false }
const asking = (call: number, waitMs: number): LeaseCall => ({
  ...{ type: 'leaseCall', call, tenant: 't', leases: [], whole: false, wants: [want], waitMs },
})

describe('calls that wait for money at the control plane', () => {
  it('leave half of the window to those that are answered at once, and go on as others end', () => {
    const sent: number[] = []
    const window = new CallWindow(({ call }) => sent.push(call))
    for (let call = 1; call <= 2 * underWayMax; call++) window.push(asking(call, 30_000))
    expect(sent).toHaveLength(underWayMax / 2)
    window.push(asking(1_000, 0))
    expect(sent.at(-1)).toBe(1_000)
    window.answered(1)
    expect(sent.at(-1)).toBe(underWayMax / 2 + 1)
    window.answered(1_000)
    expect(sent).toHaveLength(underWayMax / 2 + 2)
  })
})
