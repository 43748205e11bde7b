import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    // Bun cannot start vitest's default pool of forked processes.
    pool: 'threads',
    include: ['**/*.test.ts'],
    exclude: ['node_modules/**'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
})
