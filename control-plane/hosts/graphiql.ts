import { createHash } from 'node:crypto'

const firstQuery = `# Sign in: put your admin token after Bearer,
# in Headers below, then press refresh at the left.
query Who {
  viewer {
    actor { kind name }
    tenant { name currency configRevision }
  }
}
`

let rendered: Promise<{ body: string; policy: string }> | undefined

/** GraphiQL with everything in one page: nothing is fetched from elsewhere. Rendered when first asked for, since it is 9 MB. */
export async function graphiqlPage(): Promise<Response> {
  rendered ??= render()
  const { body, policy } = await rendered
  return new Response(body, {
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': policy,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-cache',
    },
  })
}

async function render(): Promise<{ body: string; policy: string }> {
  const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql')
  const body = renderGraphiQL({
    title: 'Sluice GraphQL',
    endpoint: '/graphql',
    defaultQuery: firstQuery,
    headers: JSON.stringify({ authorization: 'Bearer ' }),
    defaultEditorToolsVisibility: 'headers',
    subscriptionsProtocol: 'SSE',
  })
  return { body, policy: policyFor(body) }
}

/** Only this very script may run, named by its hash; workers come from blobs it makes, styles from the editor. */
function policyFor(body: string): string {
  const script = body.slice(body.indexOf('<script>') + '<script>'.length, body.lastIndexOf('</script>'))
  const hash = createHash('sha256').update(script).digest('base64')
  return [
    "default-src 'none'",
    `script-src 'sha256-${hash}' blob:`,
    'worker-src blob:',
    "style-src 'unsafe-inline'",
    "connect-src 'self'",
    'img-src data:',
    'font-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}
