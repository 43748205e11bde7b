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
      const abuse = await abuseOn(onPglite, say, checks)
      const served = await matrixOn(`PostgreSQL ${server.version}`, () => onPostgres(server), say, checks)
      const { fields, roles } = served
      const figures = { fields, roles, pairs: fields * roles, pglite: embedded.asked, postgres: served.asked, ...abuse }
      return { figures: { ...figures, version: server.version }, short: checks.short }
    } finally {
      await server.stop()
    }
  },
}
export default proof

const roundsOfAbuse = 7
/** A bad document may cost this many times a plain query. Reading a megabyte of JSON alone is some ten. */
const abuseTimesMax = 60

/** What bad clients send, one by one and in turns with a plain query: the best of some rounds each, since others share the machine. */
async function abuseOn(open: () => Promise<Opened>, say: ProofOptions['say'], checks: Checks) {
  const world = await makeWorld(await open())
  const server = await serveControlPlane(world.ctx, { host: '127.0.0.1', port: 0, apiQuota: 2_000_000_000 })
  try {
    const took = async (body: string, headers = {}) => {
      const startedAt = performance.now()
      await post(server.url, body, world.tokens.OWNER, headers)
      return performance.now() - startedAt
    }
    for (let round = 0; round < 20; round++) await took(plain)
    let worst = { times: 0, name: '' }
    for (const { name, body, headers } of abuses) {
      const best = { abuse: Number.POSITIVE_INFINITY, plain: Number.POSITIVE_INFINITY }
      for (let round = 0; round < roundsOfAbuse; round++) {
        best.plain = Math.min(best.plain, await took(plain))
        best.abuse = Math.min(best.abuse, await took(body(), headers))
      }
      const times = best.abuse / best.plain
      checks.that(times <= abuseTimesMax, `${name} took ${times.toFixed(1)} times a plain query`)
      if (times > worst.times) worst = { times, name }
    }
    say(
      `${abuses.length} kinds of abuse: the dearest, ${worst.name}, took ${worst.times.toFixed(1)} times a plain query`,
    )
    return { abuses: abuses.length, abuseTimes: Number(worst.times.toFixed(1)) }
  } finally {
    await server.stop()
    await world.stop()
  }
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
    checks.that(faults.length === 0, `${on}: ${faults.length} requests met a fault, the first ${String(faults[0])}`)
    say(
      `${on}: ${matrix.fields} fields × ${matrix.roles} roles, ${matrix.asked} documents, ${matrix.short.length} short`,
    )
    return matrix
  } finally {
    await server?.stop()
    await world.stop()
  }
}
