import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ModelServer, modelServer } from '../real/model-server.ts'
import { Checks, type Proof, type ProofOptions } from './parts/proof.ts'
import { type Sluice, startSluice } from './parts/sluice.ts'
import { amazonReads } from './providers/amazon.ts'
import { meetRefusals } from './providers/attempts.ts'
import { families } from './providers/cells.ts'
import { declarationOf, openRooms, type Room, secretsOf } from './providers/house.ts'
import { allClients, playMatrix } from './providers/matrix.ts'
import { playReal, realDeclaration } from './providers/real-cells.ts'

const proof: Proof = {
  shows:
    'every SDK meets every vendor: text, tools, images, schemas, reasoning, errors and cached tokens, in each other’s words',
  async run(options) {
    const rooms = openRooms()
    const folder = mkdtempSync(join(tmpdir(), 'sluice-proof-'))
    const settings = { SLUICE_PRIVATE_HOSTS: '127.0.0.1', ...secretsOf(rooms) }
    const model = await modelServer({ threads: 1 })
    const sluice = await startSluice(join(folder, 'data'), settings)
    try {
      return await story(options, sluice, rooms, model, folder)
    } finally {
      await sluice.stop()
      await model.stop()
      for (const { stage } of rooms) await stage.stop()
      rmSync(folder, { recursive: true })
    }
  },
}
export default proof

async function story({ say, length }: ProofOptions, sluice: Sluice, rooms: Room[], model: ModelServer, folder: string) {
  const checks = new Checks()
  const file = join(folder, 'house.yaml')
  writeFileSync(file, `${declarationOf(rooms)}\n---\n${realDeclaration(model)}`)
  checks.equal('sluice apply', (await sluice.command('apply', '-f', file, '--yes')).code, 0)
  const door = { origin: new URL(sluice.running.gateway).origin, key: sluice.running.applicationKey }
  await served(door, `${families.gemini}-lossy-${rooms.at(-1)!.stage.vendor.name}-*`)
  say('declared and served; every client plays with every vendor')
  const clients = allClients(door, length === 'quick' ? 2 : undefined)
  const refusals = meetRefusals(clients, rooms)
  const matrix = await playMatrix(sluice, clients, rooms, say)
  console.log(`${matrix.table}\n`)
  const amazon = await amazonReads(rooms.at(-1)!.stage)
  say('a real model’s server plays')
  const vendorClients = clients.filter(({ name }) => !/^(azure|ai|langchain)/.test(name))
  const real = await playReal(
    [...vendorClients, clients.find(({ name }) => name === 'ai chat')!],
    door,
    length === 'quick',
  )
  say('every client meets every refusal, with the retries that it makes by itself')
  const attempts = await refusals
  console.log(`${attempts.table}\n`)
  for (const sentence of [...matrix.short, ...amazon.short, ...real.short, ...attempts.short])
    checks.that(false, sentence)
  return {
    figures: { ...matrix.figures, ...amazon.figures, ...real.figures, ...attempts.figures },
    short: checks.short,
  }
}

/** Waits until the gateway lists a name that was declared. */
async function served({ origin, key }: { origin: string; key: string }, name: string): Promise<void> {
  const deadlineMs = performance.now() + 10_000
  while (performance.now() < deadlineMs) {
    const answer = await fetch(`${origin}/v1/models`, { headers: { authorization: `Bearer ${key}` } })
    const { data } = (await answer.json()) as { data?: { id: string }[] }
    if (data?.some(({ id }) => id === name)) return
    await Bun.sleep(20)
  }
  throw new Error(`the gateway does not serve ${name} ten seconds after it was declared`)
}
