import { Bed } from './bed.ts'
import { helpText, readOptions } from './options.ts'
import { type Measured, measureRounds } from './rounds.ts'
import { chosenRows, rows } from './rows/index.ts'
import { tableOf } from './table.ts'

/** `bun run bench`: figures on stdout, progress on stderr, exit code 1 only where something does not run. */
async function bench(args: string[]): Promise<number> {
  const names = rows.map(({ name }) => name)
  const options = readOptions(args, names)
  if (typeof options === 'string') {
    console.error(`bench: ${options}`)
    return 1
  }
  if (options.help) {
    console.log(helpText(rows))
    return 0
  }
  const bed = new Bed(options)
  try {
    const measured = await measureRounds(chosenRows(options.only), bed)
    console.log(options.json ? jsonOf(measured) : tableOf(measured))
    return 0
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : error}`)
    return 1
  } finally {
    await bed.stop()
  }
}

function jsonOf(measured: Measured[]): string {
  const lines = measured.map(({ row, samples, result }) => ({
    name: row.name,
    title: row.title,
    ...(row.against && { against: row.against }),
    ...result,
    ...(row.target && { target: row.target.text, met: row.target.met(result) }),
    samples,
  }))
  return JSON.stringify(lines, null, 2)
}

process.exitCode = await bench(process.argv.slice(2))
