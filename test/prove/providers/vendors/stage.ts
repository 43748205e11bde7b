import { type Heard, perform, readCue, type Score } from '../scenes.ts'
import type { Vendor } from './vendor.ts'

/** What was asked of a vendor, and what it answered. */
export interface Visit {
  vendor: string
  path: string
  atMs: number
  status: number
  heard: Heard | undefined
  score: Score | undefined
  /** What the vendor found wrong; null = nothing. */
  wrong: string | null
}

/** One vendor on a port of its own. */
export interface Stage {
  vendor: Vendor
  url: string
  /** By the id in the cue. */
  visits: Map<string, Visit[]>
  stop(): Promise<void>
}

export function openStage(vendor: Vendor): Stage {
  const visits = new Map<string, Visit[]>()
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const text = await request.text()
      const { visit, response } = await play(vendor, request, text)
      const id = readCue(visit.heard?.userText ?? text)?.id ?? ''
      visits.set(id, [...(visits.get(id) ?? []), visit])
      if (readCue(visit.heard?.userText ?? '')?.scene === 'silent') await leaving(request)
      return response
    },
  })
  return { vendor, url: `http://127.0.0.1:${server.port}`, visits, stop: () => server.stop(true) }
}

/** Until the gateway has had enough. */
function leaving({ signal }: Request): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

async function play(vendor: Vendor, request: Request, text: string): Promise<{ visit: Visit; response: Response }> {
  const path = request.url.slice(new URL(request.url).origin.length)
  const atMs = performance.now()
  const refused = (status: number, message: string, heard?: Heard) => ({
    visit: { vendor: vendor.name, path, atMs, status, heard, score: undefined, wrong: message },
    response: Response.json(vendor.error({ status, message }), { status }),
  })
  const closed = await vendor.door(request, text)
  if (closed) return refused(closed.status, closed.message)
  let heard: Heard
  let model: string
  try {
    const body = JSON.parse(text)
    heard = vendor.hear(body, request)
    model = body.model ?? 'scripted-model'
  } catch (error) {
    return refused(400, `the body cannot be read: ${error}`)
  }
  const score = perform(heard, vendor.kinds, vendor.thoughtsShown)
  const { failure } = score
  const visit = { vendor: vendor.name, path, atMs, status: 200, heard, score, wrong: heard.faults[0] ?? null }
  const isInside = heard.streamed && readCue(heard.userText)?.scene === 'inside'
  if (failure && !isInside) {
    visit.status = failure.status
    const headers = vendor.errorHeaders?.(failure) ?? {}
    return { visit, response: Response.json(vendor.error(failure), { status: failure.status, headers }) }
  }
  if (!heard.streamed) return { visit, response: Response.json(vendor.tell(score, model)) }
  return { visit, response: streamed(vendor.stream(score, model), vendor.streamType) }
}

/** In chunks that never end where an event does, each a read of its own at the other end as often as not. */
function streamed(pieces: (string | Uint8Array)[], type: string): Response {
  const bytes = Buffer.concat(pieces.map((piece) => Buffer.from(piece as Uint8Array)))
  const size = Math.max(61, Math.ceil(bytes.length / 12))
  let at = 0
  const body = new ReadableStream({
    async pull(controller) {
      if (at >= bytes.length) return controller.close()
      controller.enqueue(new Uint8Array(bytes.subarray(at, at + size)))
      at += size
      await Bun.sleep(0)
    },
  })
  return new Response(body, { headers: { 'content-type': type } })
}
