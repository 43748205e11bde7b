import { StreamRefused } from './live.ts'
import type { EventQueue } from './queue.ts'

interface Answer<Event> {
  data?: Record<string, Event> | null
  errors?: { message: string; extensions?: { code?: string; retryable?: boolean } }[]
}

/** One answer of a subscription: its only field's event, or why there will be none. */
export function take<Event>(queue: EventQueue<Event>, { data, errors }: Answer<Event>): void {
  const [error] = errors ?? []
  const code = error?.extensions?.code ?? 'INTERNAL'
  if (error) queue.end(error.extensions?.retryable ? new Error(error.message) : new StreamRefused(code, error.message))
  else for (const event of Object.values(data ?? {})) queue.push(event)
}
