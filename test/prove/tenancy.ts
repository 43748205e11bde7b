import { post } from '../../control-plane/hosts/running.ts'
import { type ControlPlaneServer, serveControlPlane } from '../../control-plane/hosts/yoga.ts'
import { abuses, plain } from '../hosts/abuse.ts'
import { hasPostgres, type Opened, onPglite, onPostgres, postgres } from '../tenancy/databases.ts'
import { runMatrix, unmatched } from '../tenancy/matrix.ts'
import { overHttp } from '../tenancy/over-http.ts'
import { makeWorld } from '../tenancy/world.ts'
import { Checks, type Proof, type ProofOptions } from './parts/proof.ts'

const proof: Proof = {
  shows: 'another tenant’s things, and what a role may not see, are answered exactly as what does not exist',
  async run({ say }) {
    const checks = new Checks()
    for (const field of unmatched()) checks.that(false, `${field} and the cases of test/tenancy do not match`)
    const embedded = await matrixOn('PGlite', onPglite, say, checks)
    say(hasPostgres() ? 'starting a PostgreSQL server' : 'installing and starting a PostgreSQL server')
    const server = await postgres({ fast: true })
    try {
      const served = await matrixOn(`PostgreSQL ${server.version}`, () => onPostgres(server), say, checks)
      const { fields, roles } = served
      const figures = {
        fields,
        roles,
        pairs: fields * roles,
        pglite: embedded.asked,
        postgres: served.asked,
        ...embedded.tried,
      }
      return { figures: { ...figures, version: server.version }, short: checks.short }
    } finally {
      await server.stop()
    }
  },
}
export default proof

const roundsOfAbuse = 3
/** A bad document may cost this many times a plain query, and as much again for each megabyte that had to be read. */
const abuseTimesMax = 50

/** What bad clients send, in turns with a plain query: the best of some rounds each, since others share the machine. */
async function abuse(url: string, token: string, say: ProofOptions['say'], checks: Checks) {
  const took = async (body: string, headers: Record<string, string> = {}) => {
    const startedAt = performance.now()
    const { status, errors } = await post(url, body, token, headers)
    return { ms: performance.now() - startedAt, told: [status, errors?.[0].extensions.code ?? null] }
  }
  let worst = { times: 0, name: '' }
  for (const { name, body, headers, told } of abuses) {
    const best = { abuse: Number.POSITIVE_INFINITY, plain: Number.POSITIVE_INFINITY }
    for (let round = 0; round < roundsOfAbuse; round++) {
      best.plain = Math.min(best.plain, (await took(plain)).ms)
      const answer = await took(body(), headers)
      best.abuse = Math.min(best.abuse, answer.ms)
      checks.that(String(answer.told) === String(told), `${name} was answered ${answer.told} instead of ${told}`)
    }
    const times = best.abuse / best.plain
    const most = abuseTimesMax * (1 + body().length / 2 ** 20)
    checks.that(times <= most, `${name} took ${times.toFixed(1)} times a plain query`)
    if (times > worst.times) worst = { times, name }
  }
  say(`${abuses.length} kinds of abuse: the dearest, ${worst.name}, took ${worst.times.toFixed(1)} times a plain query`)
  return { abuses: abuses.length, abuseTimes: Number(worst.times.toFixed(1)) }
}

/** The whole matrix over HTTP, against a control plane on a new database. */
async function matrixOn(on: string, open: () => Promise<Opened>, say: ProofOptions['say'], checks: Checks) {
  say(`${on}: making two tenants with one of everything`)
  const world = await makeWorld(await open())
  let server: ControlPlaneServer | undefined
  try {
    const faults: unknown[] = []
    server = await serveControlPlane(world.ctx, { host: '127.0.0.1', port: 0, report: (error) => faults.push(error) })
    const matrix = await runMatrix(world, overHttp(server.url), (field) => say(`${on}: ${field}`))
    for (const sentence of matrix.short) checks.that(false, `${on}: ${sentence}`)
    const tried = await abuse(server.url, world.tokens.OWNER, say, checks)
    say(
      `${on}: ${matrix.fields} fields × ${matrix.roles} roles, ${matrix.asked} documents, ${matrix.short.length} short`,
    )
    checks.that(faults.length === 0, `${on}: ${faults.length} requests met a fault, the first ${String(faults[0])}`)
    return { ...matrix, tried }
  } finally {
    await server?.stop()
    await world.stop()
  }
}
