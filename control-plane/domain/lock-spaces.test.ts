import { expect, it } from 'vitest'
import { lockSpaces } from './lock-spaces.ts'

it('advisory locks of one tenant are each of their own space', () => {
  const spaces = Object.values(lockSpaces)
  expect(new Set(spaces).size).toBe(spaces.length)
})
