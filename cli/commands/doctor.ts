import { settingsOf } from '../api/client.ts'
import { command } from '../command.ts'
import type { Finding } from '../doctor/finding.ts'
import { localFindings } from '../doctor/local.ts'
import { remoteFindings } from '../doctor/remote.ts'
import { type Colour, paint } from '../output/paint.ts'
import { show } from '../output/show.ts'
import { isFailed } from '../trouble.ts'

const hues: Record<Finding['state'], Colour> = { ok: 'green', warn: 'yellow', fail: 'red' }

export default command({
  name: 'doctor',
  description: 'Checks this installation: what is well, what is not, and the way out. Exit 1 where something fails.',
  example: 'sluice doctor\nsluice doctor -o json',
  async run({ format }, io) {
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
