import { defineConfig } from 'drizzle-kit'

export default defineConfig({
  dialect: 'postgresql',
  schema: './control-plane/db/tables.ts',
  out: './control-plane/db/migrations',
})
