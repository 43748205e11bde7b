import { defineConfig } from 'vitest/config'

export default defineConfig({
  // One copy of graphql: Vite would take its .mjs for our files, while packages get the .js.
  resolve: { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
  test: {
    // Bun cannot start vitest's default pool of forked processes.
    pool: 'threads',
    include: ['**/*.test.ts'],
    exclude: ['node_modules/**'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
})
