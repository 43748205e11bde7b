import { describe, expect, it } from 'vitest'
import { DeliveryWindow } from './link-window.ts'

const kibibyte = 1024

describe('what may be under way on a link', () => {
  it('begins small, doubles with each full batch that is answered soon, and is bounded', () => {
    const window = new DeliveryWindow()
    const sizes = Array.from({ length: 12 }, () => {
      window.answered(window.bytes, 5)
      return window.bytes
    })
    expect(sizes.slice(0, 3)).toEqual([64 * kibibyte, 128 * kibibyte, 256 * kibibyte])
    expect(sizes.at(-1)).toBe(8 * kibibyte * kibibyte)
  })

  it('is no more than the line carries in a second, and never too small to go on', () => {
    const window = new DeliveryWindow()
    for (let round = 0; round < 12; round++) window.answered(window.bytes, 5)
    const line = (bytes: number) => (bytes / (64 * kibibyte)) * 1_000
    window.answered(window.bytes, line(window.bytes))
    expect(window.bytes).toBe(64 * kibibyte)
    for (let round = 0; round < 12; round++) window.answered(window.bytes, line(window.bytes))
    expect(window.bytes).toBe(64 * kibibyte)
    window.answered(window.bytes, 60_000)
    expect(window.bytes).toBe(16 * kibibyte)
  })

  it('learns nothing from a batch that was small for want of records', () => {
    const window = new DeliveryWindow()
    window.answered(2 * kibibyte, 5)
    expect(window.bytes).toBe(32 * kibibyte)
  })
})
