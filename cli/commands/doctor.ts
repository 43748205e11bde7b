import { settingsOf } from '../api/client.ts'
import { command } from '../command.ts'
import type { Finding } from '../doctor/finding.ts'
import { localFindings } from '../doctor/local.ts'
import { remoteFindings } from '../doctor/remote.ts'
import type { ExitCode, Io } from '../io.ts'
import { type Colour, paint } from '../output/paint.ts'
import { type Format, show } from '../output/show.ts'
import { formatTable } from '../output/table.ts'
import { describeSettings } from '../settings.ts'
import { isFailed } from '../trouble.ts'

const hues: Record<Finding['state'], Colour> = { ok: 'green', warn: 'yellow', fail: 'red' }

export default command({
  name: 'doctor',
  description: 'Checks this installation: what is well, what is not, and the way out. Exit 1 where something fails.',
  example: 'sluice doctor\nsluice doctor -o json\nsluice doctor --settings',
  options: { settings: { type: 'boolean', description: 'only list every setting, and what is set' } },
  async run({ options, format }, io) {
    if (options.settings) return showSettings(io, format)
    const settings = settingsOf(io)
    if (isFailed(settings)) return settings
    const findings = [...localFindings(settings, io.env), ...(await remoteFindings(settings, io.now()))]
    const colour = paint(io.isStdoutTty, io.env)
    const width = Math.max(...findings.map(({ check }) => check.length))
    show(io, format, {
      data: findings,
      names: () => findings.filter(({ state }) => state !== 'ok').map(({ check }) => check),
      table: () =>
        findings
          .map(({ check, state, detail, wayOut }) => {
            const way = wayOut ? `\n${' '.repeat(width + 8)}${colour.dim('→')} ${wayOut}` : ''
            return `${colour[hues[state]](state.padEnd(4))}  ${check.padEnd(width)}  ${detail}${way}\n`
          })
          .join(''),
    })
    return findings.some(({ state }) => state === 'fail') ? 1 : 0
  },
})

function showSettings(io: Io, format: Format): ExitCode {
  const rows = describeSettings(io.env)
  show(io, format, {
    data: rows,
    names: () => rows.map(({ variable }) => variable),
    table: () =>
      formatTable(rows, [
        { title: 'VARIABLE', value: ({ variable }) => variable },
        { title: 'SET', value: ({ given }) => given ?? '' },
        { title: 'DEFAULT', value: ({ fallback }) => fallback },
        { title: 'WHAT IT IS', value: ({ description }) => description },
      ]),
  })
  return 0
}
