import { join } from 'node:path'

/** The page and its assets, built in memory when the control plane starts. */
export interface Dashboard {
  /** Answers `/` and `/assets/…`; undefined for other paths. */
  answer: (pathname: string) => Response | undefined
}

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': policy,
  'x-content-type-options': 'nosniff',
  // A one-time link in the address must not travel on.
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
}

/** Bundles dashboard/index.html with everything it needs. Assets are named by their hash and kept by browsers for good. */
export async function buildDashboard(): Promise<Dashboard> {
  const built = await Bun.build({
    entrypoints: [join(import.meta.dirname, '../dashboard/index.html')],
    target: 'browser',
    minify: true,
    publicPath: '/',
    naming: { chunk: 'assets/[name]-[hash].[ext]', asset: 'assets/[name]-[hash].[ext]', entry: '[name].[ext]' },
    define: { 'process.env.NODE_ENV': '"production"' },
  })
  let page = ''
  const assets = new Map<string, { bytes: ArrayBuffer; type: string }>()
  for (const output of built.outputs) {
    if (output.path.endsWith('.html')) page = await output.text()
    else assets.set(output.path.replace(/^\.?\/?/, '/'), { bytes: await output.arrayBuffer(), type: output.type })
  }
  return {
    answer(pathname) {
      if (pathname === '/') return new Response(page, { headers: pageHeaders })
      const asset = assets.get(pathname)
      if (!asset) return undefined
      return new Response(asset.bytes, {
        headers: {
          'content-type': asset.type,
          'cache-control': 'public, max-age=31536000, immutable',
          'x-content-type-options': 'nosniff',
        },
      })
    },
  }
}
