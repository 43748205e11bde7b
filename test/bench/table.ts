import type { Measured } from './rounds.ts'

const heads = ['', 'per s', 'ratio', 'CPU µs', 'p50 ms', 'p99 ms', 'pause ms', 'RSS MB', 'target', 'met', '']

/** The one table of the bench, as text. */
export function tableOf(measured: Measured[]): string {
  const lines = [heads, ...measured.map(cellsOf)]
  const widths = heads.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  return lines
    .map((line) =>
      line.map((cell, column) => (isText(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))),
    )
    .map((line) => line.join('  ').trimEnd())
    .join('\n')
}

const isText = (column: number) => column === 0 || column >= 8

function cellsOf({ row, result }: Measured): string[] {
  const { perS, ratio, cpuUs, p50Ms, p99Ms, pauseMs, rssMb, note } = result
  const added = row.against?.as === 'added'
  const ms = (value: number | undefined) =>
    value === undefined ? '' : `${added && value >= 0 ? '+' : ''}${value.toFixed(2)}`
  const whole = (value: number | undefined) => (value === undefined ? '' : Math.round(value).toLocaleString('en'))
  return [
    row.title,
    whole(perS),
    ratio === undefined ? '' : ratio.toFixed(2),
    whole(cpuUs),
    ms(p50Ms),
    ms(p99Ms),
    whole(pauseMs),
    whole(rssMb),
    row.target?.text ?? '',
    row.target ? (row.target.met(result) ? 'yes' : 'no') : '',
    note ?? '',
  ]
}
