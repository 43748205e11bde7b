import type { ProofOptions } from '../parts/proof.ts'
import type { Sluice } from '../parts/sluice.ts'
import { type Cell, type Column, columns, type Play, playCell } from './cells.ts'
import { aiClients } from './clients/ai.ts'
import { anthropicClient } from './clients/anthropic.ts'
import type { Client, Door } from './clients/client.ts'
import { geminiClient } from './clients/gemini.ts'
import { langchainClients } from './clients/langchain.ts'
import { azureChatClient, openaiChatClient } from './clients/openai-chat.ts'
import { openaiResponsesClient } from './clients/openai-responses.ts'
import type { Room } from './house.ts'
import { judgeRecords, recordsOf } from './records.ts'
import { judgeUnsaid } from './unsaid.ts'

const atOnce = 6
const names = Object.keys(columns) as Column[]

type Marked = Cell & { plays: Play[]; mark: 'ok' | '–' | 'FAIL'; why: string[] }

/** `retries`: of LangChain, whose own six take two minutes. */
export const allClients = (door: Door, retries?: number): Client[] => [
  openaiChatClient(door),
  azureChatClient(door),
  openaiResponsesClient(door),
  anthropicClient(door),
  geminiClient(door),
  ...aiClients(door),
  ...langchainClients(door, retries),
]

/** Every client with every vendor in every feature; the table says how each went. */
export async function playMatrix(sluice: Sluice, clients: Client[], rooms: Room[], say: ProofOptions['say']) {
  const only = process.env.PROOF_ONLY?.split(',')
  const wanted: Cell[] = clients.flatMap((client) =>
    rooms.flatMap(({ stage }) => names.map((column) => ({ client, stage, column }))),
  )
  const cells = only
    ? wanted.filter(({ client, stage }) => only.every((word) => `${client.name} ${stage.vendor.name}`.includes(word)))
    : wanted
  const waiting = [...cells]
  const marked: Marked[] = []
  const play = async () => {
    for (let cell = waiting.shift(); cell; cell = waiting.shift())
      marked.push({ ...cell, plays: await playCell(cell), mark: 'ok', why: [] })
  }
  await Promise.all(Array.from({ length: atOnce }, play))
  say(`${cells.length} cells played; reading their records`)
  const records = await recordsOf(
    sluice,
    marked.flatMap(({ plays }) => plays),
  )
  for (const cell of marked) {
    for (const each of cell.plays) judgeRecords(each, records.get(each.alias))
    cell.why.push(...cell.plays.flatMap((each) => judgeUnsaid(each, records.get(each.alias) ?? [])))
    const wrong: string[] = cell.plays.flatMap(({ wrong: found, scene, streamed }) =>
      found.map((each) => `${scene}${streamed ? ' streamed' : ''}: ${each}`),
    )
    cell.mark = wrong.length > 0 ? 'FAIL' : cell.why.length > 0 || cell.plays.length === 0 ? '–' : 'ok'
    if (wrong.length > 0) cell.why = wrong
  }
  return finding(marked, clients, rooms)
}

function finding(marked: Marked[], clients: Client[], rooms: Room[]) {
  const at = (client: Client, { stage }: Room, column: Column) =>
    marked.find((cell) => cell.client === client && cell.stage === stage && cell.column === column)
  const head = ['client'.padEnd(20), 'upstream'.padEnd(11), ...names.map((name) => name.padEnd(9))].join('')
  const rows = clients.flatMap((client) =>
    rooms.map((room) =>
      [
        client.name.padEnd(20),
        room.stage.vendor.name.padEnd(11),
        ...names.map((name) => (at(client, room, name)?.mark ?? '').padEnd(9)),
      ].join(''),
    ),
  )
  const unsaid = new Set(marked.filter(({ mark }) => mark === '–').flatMap(({ why }) => why))
  const failed = marked.filter(({ mark }) => mark === 'FAIL')
  const count = (mark: Marked['mark']) => marked.filter((cell) => cell.mark === mark).length
  return {
    table: [head, ...rows, '', ...[...unsaid].sort().map((why) => `–  ${why}`)].join('\n'),
    short: failed.map(
      ({ client, stage, column, why }) => `${client.name} → ${stage.vendor.name}, ${column}: ${why[0]}`,
    ),
    figures: {
      cells: marked.length,
      ok: count('ok'),
      unsaid: count('–'),
      failed: failed.length,
      exchanges: plays(marked),
    },
  }
}

const plays = (marked: Marked[]) => marked.reduce((sum, cell) => sum + cell.plays.length, 0)
