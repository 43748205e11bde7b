import type { Registry } from 'prom-client'

export interface OpsOptions {
  host: string
  port: number
  /** Undefined while the gateway is still starting. */
  registry: () => Registry | undefined
  /** Why the gateway cannot serve; undefined where it can. */
  notReady: () => string | undefined
}

/** The operators' port: liveness, readiness, metrics. */
export function serveOps(options: OpsOptions): { url: string; stop: () => Promise<void> } {
  const server = Bun.serve({
    hostname: options.host,
    port: options.port,
    routes: {
      '/healthz': new Response('ok\n'),
      '/readyz': () => {
        const reason = options.notReady()
        return reason ? new Response(`${reason}\n`, { status: 503 }) : new Response('ready\n')
      },
      '/metrics': async () => {
        const registry = options.registry()
        if (!registry) return new Response('')
        return new Response(await registry.metrics(), { headers: { 'content-type': registry.contentType } })
      },
    },
    fetch: () => new Response('There are /healthz, /readyz and /metrics.\n', { status: 404 }),
  })
  return { url: `http://${server.hostname}:${server.port}`, stop: () => server.stop(true) }
}
