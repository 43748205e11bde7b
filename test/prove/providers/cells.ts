import type { Client, Told } from './clients/client.ts'
import {
  called,
  instructions,
  lastWords,
  pictureSeen,
  plainText,
  results,
  type Scene,
  structured,
  thought,
  type Usage,
} from './scenes.ts'
import type { Stage, Visit } from './vendors/stage.ts'

/** The columns of the matrix: which scenes are played, and in which manners. */
export const columns = {
  plain: [['plain', false]],
  streamed: [['plain', true]],
  tools: [
    ['tools', false],
    ['tools', true],
  ],
  image: [
    ['image', false],
    ['image', true],
  ],
  schema: [
    ['schema', false],
    ['schema', true],
  ],
  thinking: [
    ['thinking', false],
    ['thinking', true],
  ],
  before: [
    ['refused', false],
    ['refused', true],
  ],
  inside: [
    ['inside', true],
    ['cut', true],
  ],
  cached: [
    ['cached', false],
    ['cached', true],
  ],
} as const satisfies Record<string, readonly (readonly [Scene, boolean])[]>
export type Column = keyof typeof columns

export interface Cell {
  client: Client
  stage: Stage
  column: Column
}

/** One play of a scene: what was asked under which name, and what does not hold. */
export interface Play {
  alias: string
  id: string
  scene: Scene
  streamed: boolean
  stage: Stage
  client: Client
  /** The field that the gateway refused by name, where the alias allows no losses. */
  refused: string | null
  /** What the client did not get, to be found in the record's `lossy`. */
  missing: ('asked' | 'shown' | 'replayed')[]
  wrong: string[]
}

/** Applications keep the names of their vendor's models, and their SDKs go by them. */
export const families = { chat: 'gpt-5', responses: 'gpt-5', anthropic: 'claude-sonnet-4-5', gemini: 'gemini-3-pro' }

let plays = 0

/** Plays every scene of a cell with a real SDK. */
export async function playCell({ client, stage, column }: Cell): Promise<Play[]> {
  const played: Play[] = []
  for (const [scene, streamed] of columns[column]) {
    const id = `p${++plays}`
    const play: Play = { alias: '', id, scene, streamed, stage, client, refused: null, missing: [], wrong: [] }
    await playScene(play)
    played.push(play)
  }
  return played
}

async function playScene(play: Play): Promise<void> {
  const { client, stage, id, scene, streamed } = play
  play.alias = `${families[client.dialect]}-${stage.vendor.name}-${id}`
  const ask = (model: string) => client.ask({ model, scene, id, streamed })
  try {
    let told: Told
    try {
      told = await ask(play.alias)
    } catch (error) {
      const field = unsupported(error)
      if (field === undefined) throw error
      play.refused = field
      play.alias = `${families[client.dialect]}-lossy-${stage.vendor.name}-${id}`
      told = await ask(play.alias)
    }
    await checks[scene as keyof typeof checks](play, told)
  } catch (error) {
    checkError(play, error)
  }
  for (const { wrong } of visitsOf(play)) if (wrong !== null) play.wrong.push(`the vendor: ${wrong}`)
}

export const visitsOf = ({ stage, id }: Pick<Play, 'stage' | 'id'>): Visit[] => stage.visits.get(id) ?? []

/** The field that an `unsupported_feature` names, as the SDK tells it. */
function unsupported(error: unknown): string | undefined {
  const text =
    error instanceof Error
      ? `${error.message} ${JSON.stringify((error as { responseBody?: string }).responseBody ?? '')}`
      : ''
  return /'([^']+)' has no form in/.exec(text)?.[1]
}

function same(play: Play, what: string, actual: unknown, expected: unknown): void {
  const [is, should] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (is !== should) play.wrong.push(`${what}: ${is} instead of ${should}`)
}

const checks = {
  plain: (play: Play, told: Told) => {
    same(play, 'text', told.text, plainText)
    same(play, 'instructions at the vendor', visitsOf(play)[0]?.heard?.system, instructions)
    same(play, 'streamed from the vendor', visitsOf(play)[0]?.heard?.streamed, play.streamed)
    usageSeen(play, told)
  },
  async tools(play: Play, told: Told) {
    same(
      play,
      'calls',
      told.calls.map(({ name, arguments: given }) => ({ name, arguments: given })),
      called,
    )
    same(play, 'ids of calls', new Set(told.calls.map(({ id }) => id)).size, called.length)
    const second = await told.goOn()
    resultsHeard(play, second)
    const replayed = visitsOf(play)
      .at(-1)
      ?.heard?.calls.map(({ name, arguments: given }) => ({ name, arguments: given }))
    same(play, 'calls replayed', replayed, called)
  },
  image: (play: Play, told: Told) => same(play, 'picture', told.text, pictureSeen),
  schema(play: Play, told: Told) {
    let read: unknown
    try {
      read = JSON.parse(told.text)
    } catch {
      read = told.text
    }
    same(play, 'object', read, structured)
  },
  async thinking(play: Play, told: Told) {
    if (!visitsOf(play)[0]?.heard?.thinks) play.missing.push('asked')
    if (told.thought === '') play.missing.push('shown')
    else same(play, 'thought', told.thought, thought)
    usageSeen(play, told)
    const second = await told.goOn()
    if (second.text === `${lastWords} forgotten`) play.missing.push('replayed')
    else same(play, 'second turn', second.text, `${lastWords} replayed`)
  },
  refused: (play: Play) => void play.wrong.push('a refusal of the vendor was taken for an answer'),
  inside: (play: Play) => void play.wrong.push('an error inside the stream was taken for an answer'),
  cut: (play: Play) => void play.wrong.push('a stream that broke off was taken for an answer'),
  cached: (play: Play, told: Told) => usageSeen(play, told),
}

/** Some clients wrap a result before they send it, which is theirs to do. */
function resultsHeard(play: Play, { text }: Told): void {
  const heard: { name: string; text: string }[] = JSON.parse(text)
  same(
    play,
    'results at the vendor',
    heard.map(({ name }) => name),
    called.map(({ name }) => name),
  )
  for (const [at, { name }] of called.entries())
    if (!heard[at]?.text.includes(results[name]))
      play.wrong.push(`the result of ${name} at the vendor: ${heard[at]?.text}`)
}

/** Some scenes have to end in an error that says what the vendor said. */
function checkError(play: Play, error: unknown): void {
  const { status, statusCode, message, responseBody } = error as Record<string, unknown>
  const told = `${message} ${responseBody ?? ''}`
  if (play.scene === 'refused') {
    same(play, 'status', status ?? statusCode, 400)
    if (!told.includes('the ledger is closed on Sundays'))
      play.wrong.push(`the vendor's sentence is not told: ${told.slice(0, 200)}`)
    same(play, 'attempts', visitsOf(play).length, 1)
  } else if (play.scene !== 'inside' && play.scene !== 'cut')
    play.wrong.push(`${(error as Error).constructor.name}: ${told.slice(0, 300)}`)
}

/** What the application sees of what was billed. */
function usageSeen(play: Play, { usage }: Told): void {
  const billed = visitsOf(play).at(-1)?.score?.usage
  if (!billed) return
  const { fresh, cached, write5m, write1h, output, reasoning } = billed
  same(play, 'usage seen', usage, { input: fresh + cached + write5m + write1h, cached, output: output + reasoning })
}

/** The meters that a vendor's counts belong to. */
export function metersOf(usage: Usage): Record<string, number> {
  const all = {
    INPUT_TOKENS: usage.fresh,
    CACHED_INPUT_TOKENS: usage.cached,
    CACHE_WRITE_TOKENS: usage.write5m,
    CACHE_WRITE_1H_TOKENS: usage.write1h,
    OUTPUT_TOKENS: usage.output,
    REASONING_TOKENS: usage.reasoning,
  }
  return Object.fromEntries(Object.entries(all).filter(([, quantity]) => quantity > 0))
}
