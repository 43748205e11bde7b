import { createHash } from 'node:crypto'

/** Every scene that is played: what the client asks for, and what the vendor answers in its own wire format. */
export const scenes = ['plain', 'tools', 'image', 'schema', 'thinking', 'cached', 'refused', 'inside', 'cut'] as const
export type Scene = (typeof scenes)[number] | `status-${number}` | 'long-wait' | 'silent'

/** Which scene a client asks for stands in its user's text, so that no SDK has to carry anything of ours. */
export const cueOf = (scene: Scene, id: string) => `Scene ${scene} of ${id}, please.`

export interface Cue {
  scene: Scene
  id: string
}

export function readCue(text: string): Cue | undefined {
  const [, scene, id] = /Scene ([a-z0-9-]+) of ([A-Za-z0-9_.-]+), please\./.exec(text) ?? []
  return scene && id ? { scene: scene as Scene, id } : undefined
}

export const instructions = 'You are the harbour clerk. Answer from the ledger alone.'

/** The two tools of every client. */
export const tools = {
  get_weather: {
    description: 'The weather of a city',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, unit: { type: 'string', enum: ['c', 'f'] } },
      required: ['city', 'unit'],
      additionalProperties: false,
    },
  },
  get_tide: {
    description: 'The tide of a harbour',
    parameters: {
      type: 'object',
      properties: { harbour: { type: 'string' } },
      required: ['harbour'],
      additionalProperties: false,
    },
  },
} as const
export type ToolName = keyof typeof tools

/** Both are called at once; the texts are awkward on purpose. */
export const called: { name: ToolName; arguments: Record<string, string> }[] = [
  { name: 'get_weather', arguments: { city: 'Žďár "nad" Sázavou\n🐎', unit: 'c' } },
  { name: 'get_tide', arguments: { harbour: 'Tromsø' } },
]
export const results: Record<ToolName, string> = { get_weather: 'rain, 7 °C', get_tide: 'high at 04:10' }

export const schema = {
  type: 'object',
  properties: { city: { type: 'string' }, degrees: { type: 'number' } },
  required: ['city', 'degrees'],
  additionalProperties: false,
} as const
export const structured = { city: 'Brno "west"', degrees: 21.5 }

/** One red pixel. */
export const picture =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=='
export const pictureSeen = `image/png ${digestOf(picture)}`

export function digestOf(base64: string): string {
  return createHash('sha256').update(Buffer.from(base64, 'base64')).digest('hex').slice(0, 16)
}

export const plainText = 'Hello there, «žluťoučký kůň» 🐎: a second piece,\n\nand a third "one".'
export const thought = 'The ledger says where it rains, so the tool has to be asked first.'
export const thoughtSignature = Buffer.from('what proves the reasoning of this very turn').toString('base64')
export const lastWords = 'It rains there; the ledger agrees.'

/** Token counts as a vendor bills them, apart from one another. */
export interface Usage {
  fresh: number
  cached: number
  write5m: number
  write1h: number
  output: number
  reasoning: number
}

/** What one answer is made of. */
export interface Score {
  /** It reasoned, which it may show or not. */
  reasoned: boolean
  thought: string
  text: string
  calls: { id: string; name: string; arguments: Record<string, unknown> }[]
  usage: Usage
  /** Told before the answer, or (`inside`, a stream) after half of it. */
  failure?: Failure
  /** Half of a stream is sent, and then nothing that ends it. */
  cut?: boolean
}

export interface Failure {
  status: number
  message: string
  retryAfterS?: number
}

/** What a vendor understood of a request, whatever its protocol. */
export interface Heard {
  system: string
  userText: string
  images: { mediaType: string; data: string }[]
  tools: { name: string; parameters: unknown }[]
  /** Tool results after the last answer, by the name of the tool they are for. */
  results: { name: string; text: string }[]
  /** Calls of earlier turns, as they were replayed. */
  calls: { id: string; name: string; arguments: unknown }[]
  /** Reasoning of earlier turns, as it was replayed; the signature as the vendor made it. */
  thoughts: { text: string; signature: string }[]
  schema: unknown
  /** Reasoning was asked for; `shows`: and to be shown. */
  thinks: boolean
  shows: boolean
  streamed: boolean
  /** What of the request this protocol does not have; the vendor refuses it then. */
  faults: string[]
}

export const nothingHeard = (streamed: boolean): Heard => ({
  ...{ system: '', userText: '', images: [], tools: [], results: [], calls: [], thoughts: [] },
  ...{ schema: undefined, thinks: false, shows: false, streamed, faults: [] },
})

/** How many tokens of each kind a scene is billed; a vendor leaves out what it does not tell apart. */
function usageOf(scene: Scene, kinds: readonly (keyof Usage)[]): Usage {
  const all: Usage = { fresh: 213, cached: 0, write5m: 0, write1h: 0, output: 89, reasoning: 0 }
  if (scene === 'thinking') all.reasoning = 157
  if (scene === 'cached') Object.assign(all, { cached: 1_024, write5m: 512, write1h: 256, reasoning: 31 })
  for (const kind of Object.keys(all) as (keyof Usage)[]) if (!kinds.includes(kind)) all[kind] = 0
  return all
}

/** What a vendor answers to a request that it understood. */
export function perform(heard: Heard, kinds: readonly (keyof Usage)[], thoughtsShown: boolean): Score {
  const cue = readCue(heard.userText)
  const score: Score = {
    reasoned: false,
    thought: '',
    text: '',
    calls: [],
    usage: usageOf(cue?.scene ?? 'plain', kinds),
  }
  const fault = heard.faults[0]
  if (fault) return { ...score, failure: { status: 400, message: fault } }
  if (!cue) return { ...score, failure: { status: 400, message: 'the user asks for no scene' } }
  const status = /^status-(\d+)$/.exec(cue.scene)?.[1]
  if (status) return { ...score, failure: { status: Number(status), message: `scripted ${status}`, retryAfterS: 1 } }
  switch (cue.scene) {
    case 'tools':
      return heard.results.length > 0
        ? { ...score, text: JSON.stringify(heard.results) }
        : { ...score, calls: callsOf(cue.id, heard) }
    case 'image':
      return { ...score, text: heard.images.map(({ mediaType, data }) => `${mediaType} ${digestOf(data)}`).join() }
    case 'schema':
      return structuredAs(heard, cue.id, score)
    case 'thinking':
      return thinking(heard, cue.id, score, thoughtsShown)
    case 'refused':
      return { ...score, failure: { status: 400, message: 'the ledger is closed on Sundays' } }
    case 'long-wait':
      return { ...score, failure: { status: 429, message: 'come back tomorrow', retryAfterS: 86_400 } }
    case 'inside':
      return { ...score, text: plainText, failure: { status: 529, message: 'the harbour is overloaded' } }
    case 'cut':
      return { ...score, text: plainText, cut: true }
    default:
      return { ...score, text: plainText }
  }
}

function callsOf(id: string, { tools: offered }: Heard): Score['calls'] {
  return called
    .filter(({ name }) => canonical(propertiesOf(offered, name)) === canonical(tools[name].parameters.properties))
    .map((call, at) => ({ ...call, id: `${id}_${at}`.replaceAll(/[^A-Za-z0-9_]/g, '') }))
}

/** The object as text where a schema is asked for; some clients ask by a tool that has it. */
function structuredAs({ schema: asked, tools: offered }: Heard, id: string, score: Score): Score {
  const tool = offered.find(({ parameters }) => isWantedSchema(parameters))
  if (tool && asked === undefined)
    return { ...score, calls: [{ id: `${id}_0`, name: tool.name, arguments: structured }] }
  return {
    ...score,
    text: JSON.stringify(isWantedSchema(asked) ? structured : { not: 'the schema', was: asked ?? null }),
  }
}

/** A first turn reasons and calls a tool; the second says whether the reasoning came back as it was. */
function thinking(heard: Heard, id: string, score: Score, thoughtsShown: boolean): Score {
  if (heard.results.length === 0) {
    const shown = thoughtsShown && heard.shows && heard.thinks
    return { ...score, reasoned: heard.thinks, thought: shown ? thought : '', calls: callsOf(id, heard).slice(0, 1) }
  }
  const replayed = heard.thoughts.some(({ signature }) => signature === thoughtSignature)
  return { ...score, text: `${lastWords} ${replayed ? 'replayed' : 'forgotten'}` }
}

function propertiesOf(offered: Heard['tools'], name: string): unknown {
  const parameters = offered.find((tool) => tool.name === name)?.parameters as { properties?: unknown } | undefined
  return parameters?.properties
}

function isWantedSchema(given: unknown): boolean {
  const properties = (given as { properties?: object } | undefined)?.properties
  return canonical(properties) === canonical(schema.properties)
}

/** JSON with its names sorted, and names of types as JSON Schema writes them. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (name, member) => {
    if (name === 'type' && typeof member === 'string') return member.toLowerCase()
    if (typeof member !== 'object' || member === null || Array.isArray(member)) return member
    return Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}

/** Pieces as a model makes them: some characters each, never within one. */
export function pieces(text: string, size = 7): string[] {
  const letters = [...text]
  return Array.from({ length: Math.ceil(letters.length / size) }, (_, at) =>
    letters.slice(at * size, (at + 1) * size).join(''),
  )
}
