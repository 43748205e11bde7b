import { isAsyncIterable } from '@envelop/core'
import type { ExecutionResult } from 'graphql'
import type { Plugin } from 'graphql-yoga'

const pingMs = 12_000
const utf8 = new TextEncoder()

/**
 * Server-sent events that resume. Yoga writes no `id:` line and ignores `Last-Event-ID`; here every event carries its cursor as
 * id, and the header that a browser sends when it reconnects becomes the `after` variable.
 */
export function resumableSse(): Plugin {
  return {
    onParams({ request, params, setParams }) {
      const last = request.headers.get('last-event-id')
      if (last && last.length <= 200) setParams({ ...params, variables: { ...params.variables, after: last } })
    },
    onResultProcess({ request, result, setResultProcessor }) {
      if (!isAsyncIterable(result) || !request.headers.get('accept')?.includes('text/event-stream')) return
      setResultProcessor((stream) => eventStream(stream as AsyncIterable<ExecutionResult>), 'text/event-stream')
    },
  }
}

/** One response whose body is pulled by its reader: what a slow reader leaves unread is never produced. */
function eventStream(results: AsyncIterable<ExecutionResult>): Response {
  const iterator = results[Symbol.asyncIterator]()
  let ping: ReturnType<typeof setInterval>
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      // Some browsers show nothing, not even the head, before the first byte.
      controller.enqueue(utf8.encode(':\n\n'))
      ping = setInterval(() => (controller.desiredSize ?? 0) > 0 && controller.enqueue(utf8.encode(':\n\n')), pingMs)
    },
    async pull(controller) {
      const next = await iterator.next()
      if (!next.done) return controller.enqueue(bytesOf(next.value))
      clearInterval(ping)
      controller.enqueue(utf8.encode('event: complete\ndata:\n\n'))
      controller.close()
    },
    async cancel() {
      clearInterval(ping)
      await iterator.return?.()
    },
  })
  const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' }
  return new Response(body, { headers })
}

const encoded = new WeakMap<ExecutionResult, Uint8Array>()

/** A result that several subscribers share is written once. */
function bytesOf(result: ExecutionResult): Uint8Array {
  const bytes = encoded.get(result) ?? utf8.encode(formatEvent(result))
  encoded.set(result, bytes)
  return bytes
}

function formatEvent(result: ExecutionResult): string {
  const cursor = cursorOf(result)
  return `event: next\n${cursor ? `id: ${cursor}\n` : ''}data: ${JSON.stringify(result)}\n\n`
}

/** A subscription has one field; its event's cursor is read where the document asks for it by that name. */
function cursorOf(result: ExecutionResult): string | undefined {
  const event = Object.values(result.data ?? {})[0] as { cursor?: unknown } | null | undefined
  return typeof event?.cursor === 'string' && /^[\w-]+$/.test(event.cursor) ? event.cursor : undefined
}
