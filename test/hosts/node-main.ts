/** The Mercurius host as a program that Node runs. Prints one line of JSON: where it listens and its admin token. */
import { serveMercurius } from '../../control-plane/hosts/mercurius.ts'
import { openHouse } from './house.ts'

if (process.versions.bun) throw new Error('This is Bun; the proof is for Node.')
const house = await openHouse(process.env.SLUICE_DATABASE_URL)
const apiQuota = process.env.SLUICE_API_QUOTA ? Number(process.env.SLUICE_API_QUOTA) : undefined
const server = await serveMercurius(house.ctx, { host: '127.0.0.1', port: 0, apiQuota })
console.log(JSON.stringify({ url: server.url, token: house.token }))

process.once('SIGTERM', async () => {
  await server.stop()
  await house.stop()
})
