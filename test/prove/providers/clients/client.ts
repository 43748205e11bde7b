import { cueOf, instructions, type Scene, tools } from '../scenes.ts'

/** What a client is asked to do; everything else it does as its own documentation shows. */
export interface Ask {
  model: string
  scene: Scene
  id: string
  streamed: boolean
}

/** Tokens as this client's application sees them: `input` with all that was cached, `output` with all that was thought. */
export interface SeenUsage {
  input: number
  cached: number
  output: number
}

/** An answer as this client's application sees it. */
export interface Told {
  text: string
  thought: string
  calls: { id: string; name: string; arguments: unknown }[]
  usage: SeenUsage
  /** Asks again with the client's own history and the tools' results. */
  goOn(): Promise<Told>
}

/** An unmodified SDK, given nothing but a base URL and a key. */
export interface Client {
  name: string
  dialect: 'chat' | 'responses' | 'anthropic' | 'gemini'
  /** What this SDK itself does not do with reasoning: hand it to the application, or send it back. */
  leaves?: readonly ('shown' | 'replayed' | 'unsigned')[]
  /** Its retries have nothing to do with the gateway's `x-should-retry`. */
  headstrong?: boolean
  ask(ask: Ask): Promise<Told>
}

export interface Door {
  origin: string
  key: string
}

export const wantsTools = ({ scene }: Ask) => scene === 'tools' || scene === 'thinking'
export const wordsOf = ({ scene, id }: Ask) => cueOf(scene, id)
export const outputTokens = 6_000
export const thinkingTokens = 2_000
export const system = instructions
export const toolList = Object.entries(tools).map(([name, tool]) => ({ name, ...tool }))
