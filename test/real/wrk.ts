import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { debianProgram, findProgram, run } from './install.ts'

export interface Load {
  url: string
  connections?: number
  threads?: number
  durationS?: number
  method?: string
  headers?: Record<string, string>
  body?: string
  /** Pins wrk to these cores, as `taskset -c` writes them: `0` or `0,1`. */
  cores?: string
}

/** What wrk counted. `errors.status` are answers of status 400 and above. */
export interface LoadResult {
  requests: number
  durationS: number
  requestsPerS: number
  bytes: number
  latencyMs: { p50: number; p90: number; p99: number; p999: number; max: number; mean: number }
  errors: { connect: number; read: number; write: number; timeout: number; status: number }
}

/** Puts load on a URL from a process of its own. Latency is wrk's: closed loop, without coordinated omission correction. */
export async function wrk(load: Load): Promise<LoadResult> {
  const program = await installWrk()
  const dir = await mkdtemp(join(tmpdir(), 'sluice-wrk-'))
  try {
    const script = join(dir, 'load.lua')
    await writeFile(script, luaScript(load))
    const { connections = 32, threads = 1, durationS = 3 } = load
    const args = [`-c${connections}`, `-t${threads}`, `-d${durationS}s`, '--timeout', '30s', '-s', script, load.url]
    const pinned = load.cores ? ['taskset', '-c', load.cores, program] : [program]
    const output = await run(pinned[0]!, [...pinned.slice(1), ...args])
    return JSON.parse(/^RESULT (.*)$/m.exec(output)![1]!) as LoadResult
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

export function installWrk(): Promise<string> {
  return debianProgram('wrk', ['wrk'], () => findProgram('wrk'))
}

/** wrk reports through Lua: `done` gets all figures in microseconds. */
function luaScript({ method, headers = {}, body }: Load): string {
  const fields = Object.entries(headers).map(([name, value]) => `wrk.headers[${quoted(name)}] = ${quoted(value)}`)
  return `wrk.method = ${quoted(method ?? (body === undefined ? 'GET' : 'POST'))}
${body === undefined ? '' : `wrk.body = ${quoted(body)}`}
${fields.join('\n')}
done = function(summary, latency)
  local e = summary.errors
  local function ms(p) return latency:percentile(p) / 1000 end
  print(string.format('RESULT {"requests":%d,"durationS":%f,"requestsPerS":%f,"bytes":%.0f,' ..
    '"latencyMs":{"p50":%f,"p90":%f,"p99":%f,"p999":%f,"max":%f,"mean":%f},' ..
    '"errors":{"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}}',
    summary.requests, summary.duration / 1e6, summary.requests / (summary.duration / 1e6), summary.bytes,
    ms(50), ms(90), ms(99), ms(99.9), latency.max / 1000, latency.mean / 1000,
    e.connect, e.read, e.write, e.timeout, e.status))
end
`
}

/** A Lua string of any bytes: decimal escapes for all that is not plain. */
function quoted(text: string): string {
  const escaped = [...Buffer.from(text)].map((byte) =>
    byte >= 32 && byte < 127 && byte !== 34 && byte !== 92
      ? String.fromCharCode(byte)
      : `\\${String(byte).padStart(3, '0')}`,
  )
  return `"${escaped.join('')}"`
}
