#!/usr/bin/env bun
import { processIo } from './io.ts'
import { main } from './main.ts'

// A reader that has seen enough, as in `sluice dump | head`, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
})

process.exitCode = await main(process.argv.slice(2), processIo())
