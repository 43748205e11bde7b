/**
 * The bare proxy, the measure of all rows: what any gateway on Bun does at the least. It parses and writes again the request and
 * the answer; a stream passes (`/through/…`) or is parsed and written again event by event (`/parsed/…`).
 */
const upstream = process.env.BENCH_UPSTREAM!

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  idleTimeout: 60,
  fetch: async (request) => {
    const way = request.url.includes('/through/') ? 'through' : 'parsed'
    const body = JSON.parse(await request.text())
    const answer = await fetch(`${upstream}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer none' },
      body: JSON.stringify(body),
      signal: request.signal,
    })
    if (!body.stream) return Response.json(JSON.parse(await answer.text()))
    const stream = way === 'through' ? answer.body! : answer.body!.pipeThrough(parsed())
    return new Response(stream, { headers: { 'content-type': 'text/event-stream' } })
  },
})
console.log(JSON.stringify({ url: `http://127.0.0.1:${server.port}` }))

/** Each event parsed and written again, each chunk's events together. */
function parsed(): TransformStream<Uint8Array, Uint8Array> {
  const decoder = new TextDecoder()
  const encoder = new TextEncoder()
  let pending = ''
  return new TransformStream({
    transform(chunk, controller) {
      const events = (pending + decoder.decode(chunk, { stream: true })).split('\n\n')
      pending = events.pop()!
      let out = ''
      for (const event of events) {
        const data = event.slice('data: '.length)
        out += data === '[DONE]' ? `${event}\n\n` : `data: ${JSON.stringify(JSON.parse(data))}\n\n`
      }
      if (out !== '') controller.enqueue(encoder.encode(out))
    },
  })
}
