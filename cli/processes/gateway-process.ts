import { join } from 'node:path'
import type { Io } from '../io.ts'

export interface GatewayAddresses {
  gateway: string
  ops: string
  instance: string
}

/** What the control plane keeps to itself: a gateway has no use for it. */
const withheld = ['SLUICE_MASTER_KEY', 'SLUICE_DATABASE_URL', 'SLUICE_ADMIN_TOKEN']

const program = join(import.meta.dirname, '../sluice.ts')
const restartMs = 1_000
const readyWithinMs = 30_000

/**
 * The gateway as a child process of `up`. It ends when its standard input closes, so that it never outlives a parent that was
 * killed; one that ends by itself is started again.
 */
export class GatewayProcess {
  #child: Bun.Subprocess<'pipe', 'pipe', 'inherit'> | undefined
  #stopping = false
  #wasUp = false

  constructor(
    readonly io: Io,
    readonly controlUrl: string,
    readonly planeToken: string | null,
  ) {}

  /** Starts it and waits until it is ready to serve; a sentence where it does not come up. */
  async start(): Promise<GatewayAddresses | { refused: string }> {
    const addresses = await this.#spawn()
    if (!addresses) return { refused: 'The gateway did not start; what it said is above.' }
    this.#wasUp = true
    const deadlineMs = performance.now() + readyWithinMs
    while (performance.now() < deadlineMs) {
      const answer = await fetch(`${addresses.ops}/readyz`).catch(() => undefined)
      if (answer?.ok) return addresses
      await Bun.sleep(25)
    }
    return { refused: 'The gateway started but did not get its configuration; see its messages above.' }
  }

  async #spawn(): Promise<GatewayAddresses | undefined> {
    const child = Bun.spawn([process.execPath, program, 'gateway', '--with-parent'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: this.#environment(),
    })
    this.#child = child
    void child.exited.then((code) => this.#ended(code))
    const line = await firstLine(child.stdout)
    return line ? (JSON.parse(line) as GatewayAddresses) : undefined
  }

  #environment(): Record<string, string | undefined> {
    const env: Record<string, string | undefined> = { BUN_CONFIG_MAX_HTTP_REQUESTS: '16384', ...this.io.env }
    for (const name of withheld) {
      delete env[name]
      delete env[`${name}_FILE`]
    }
    delete env.SLUICE_PLANE_TOKEN_FILE
    return { ...env, SLUICE_CONTROL_URL: this.controlUrl, SLUICE_PLANE_TOKEN: this.planeToken ?? undefined }
  }

  async #ended(code: number): Promise<void> {
    if (this.#stopping || !this.#wasUp) return
    this.io.err(`The gateway ended by itself (exit ${code}); it is started again.\n`)
    await Bun.sleep(restartMs)
    if (!this.#stopping) await this.#spawn()
  }

  /** Asks it to finish what is under way and waits for it. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#child?.kill('SIGTERM')
    await this.#child?.exited
  }
}

/** The first line a process writes; undefined where it ends without one. */
async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string | undefined> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true })
    const end = text.indexOf('\n')
    if (end !== -1) return text.slice(0, end)
  }
  return undefined
}
