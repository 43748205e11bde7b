import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cached } from './cache.ts'
import { missing, npmInstall, progress } from './install.ts'
import { answersHttp, onFreePort, type Started, start, untilReady } from './started.ts'

const version = '1.15.2'

export interface Portkey extends Started {
  /** Without `/v1`. Say where to go by headers: `x-portkey-provider: openai`, `x-portkey-custom-host: http://…/v1`. */
  url: string
}

/** The Portkey gateway, another TypeScript gateway to compare with, on Bun: on Node its streams fail. */
export async function portkey(): Promise<Portkey> {
  const dir = await installPortkey()
  return onFreePort(async (port) => {
    const started = await start({
      name: 'Portkey',
      command: process.execPath,
      args: [
        '--preload',
        fileURLToPath(new URL('./portkey-loopback.ts', import.meta.url)),
        join(dir, 'node_modules/@portkey-ai/gateway/build/start-server.js'),
        '--headless',
        `--port=${port}`,
      ],
      cwd: dir,
      // It forwards to no host but the ones named here, unless told that it may.
      env: {
        NODE_ENV: 'production',
        TRUSTED_CUSTOM_HOSTS: '127.0.0.1,localhost',
        BUN_CONFIG_MAX_HTTP_REQUESTS: '5000',
      },
    })
    const url = `http://127.0.0.1:${port}`
    await untilReady('Portkey', started, () => answersHttp(url))
    return { ...started, url }
  })
}

export async function installPortkey(): Promise<string> {
  try {
    return await cached(`portkey-${version}`, (dir) =>
      progress(`installing @portkey-ai/gateway ${version}`, () => npmInstall(dir, { '@portkey-ai/gateway': version })),
    )
  } catch (cause) {
    throw missing('The Portkey gateway', `npm install @portkey-ai/gateway@${version}`, cause)
  }
}
