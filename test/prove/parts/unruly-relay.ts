/** How badly a network behaves. */
export interface Weather {
  /** Each message waits for a time of its own, so that later ones overtake earlier ones. */
  delayMs: { least: number; most: number }
  /** How many of a hundred messages come twice. */
  duplicatedPercent: number
  /** How many of a hundred requests are not passed on but answered 502. Of a link's messages those are lost that a cut overtakes. */
  lostPercent: number
}

export const calm: Weather = { delayMs: { least: 0, most: 0 }, duplicatedPercent: 0, lostPercent: 0 }

/** A plane's way to the control plane: to any of its replicas, for each connection and each request another. */
export interface UnrulyRelay {
  url: string
  /** When the present link was opened (its welcome went through), by `performance.now()`; null while there is none. */
  readonly openSinceMs: number | null
  readonly counts: { links: number; cuts: number; messages: number; duplicated: number; lost: number; requests: number }
  weather: Weather
  /** Ends the link in the middle, without a word to either side. */
  cut(): void
  close(): void
}

interface Leg {
  onward: WebSocket
  waiting: string[]
  open: boolean
}

type Counts = UnrulyRelay['counts']

/** `linkTargets`: where links go, if to others than everything else. */
export function unrulyRelay(targets: readonly string[], linkTargets = targets): UnrulyRelay {
  const counts: Counts = { links: 0, cuts: 0, messages: 0, duplicated: 0, lost: 0, requests: 0 }
  const sockets = new Set<Bun.ServerWebSocket<Leg>>()
  const state = { openSinceMs: null as number | null, weather: calm }
  const anyOf = (urls: readonly string[]) => urls[Math.floor(Math.random() * urls.length)]!

  /** What belongs to the handshake goes through as it is: the rest is late, early or twice. */
  const carry = (text: string, onto: { readyState: number; send(text: string): unknown }, isOpen: boolean) => {
    counts.messages++
    const send = (late: string) => {
      if (onto.readyState === WebSocket.OPEN) onto.send(late)
      else counts.lost++
    }
    const { delayMs, duplicatedPercent } = state.weather
    if (!isOpen || delayMs.most === 0) return send(text)
    const twice = Math.random() * 100 < duplicatedPercent
    if (twice) counts.duplicated++
    for (let copy = 0; copy <= Number(twice); copy++)
      setTimeout(() => send(text), delayMs.least + Math.random() * (delayMs.most - delayMs.least))
  }

  const server = Bun.serve<Leg>({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request, server) {
      const { pathname } = new URL(request.url)
      if (pathname === '/plane/v1/link') {
        const onward = new WebSocket(`${anyOf(linkTargets).replace('http', 'ws')}${pathname}`)
        if (server.upgrade(request, { data: { onward, waiting: [], open: false } })) return undefined
      }
      counts.requests++
      if (Math.random() * 100 < state.weather.lostPercent) {
        counts.lost++
        return new Response(null, { status: 502 })
      }
      return passOn(request, `${anyOf(targets)}${pathname}`, state.weather)
    },
    websocket: {
      maxPayloadLength: 16 * 1024 * 1024,
      open(ws) {
        counts.links++
        sockets.add(ws)
        const { data } = ws
        data.onward.onopen = () => {
          for (const text of data.waiting.splice(0)) data.onward.send(text)
        }
        data.onward.onmessage = ({ data: text }) => {
          carry(String(text), ws, data.open)
          if (data.open || !String(text).startsWith('{"type":"welcome"')) return
          data.open = true
          state.openSinceMs = performance.now()
        }
        data.onward.onclose = () => ws.close()
        data.onward.onerror = () => ws.close()
      },
      message({ data }, text) {
        const { onward } = data
        if (onward.readyState === WebSocket.CONNECTING) data.waiting.push(String(text))
        else carry(String(text), onward, data.open)
      },
      close(ws) {
        sockets.delete(ws)
        ws.data.onward.close()
        if (sockets.size === 0) state.openSinceMs = null
      },
    },
  })
  return {
    url: `http://127.0.0.1:${server.port}`,
    counts,
    get openSinceMs() {
      return state.openSinceMs
    },
    get weather() {
      return state.weather
    },
    set weather(weather) {
      state.weather = weather
    },
    cut() {
      counts.cuts++
      state.openSinceMs = null
      for (const socket of sockets) {
        socket.data.onward.close()
        socket.terminate()
      }
    },
    close: () => void server.stop(true),
  }
}

async function passOn(request: Request, url: string, { delayMs }: Weather): Promise<Response> {
  if (delayMs.least > 0) await Bun.sleep(delayMs.least)
  const headers = new Headers(request.headers)
  for (const name of ['host', 'connection', 'accept-encoding']) headers.delete(name)
  const body = request.method === 'POST' ? await request.arrayBuffer() : null
  const answer = await fetch(url, { method: request.method, headers, body })
  return new Response(await answer.arrayBuffer(), { status: answer.status })
}
