import { readFileSync } from 'node:fs'
import { codecs } from '../../schema/config/index.ts'
import { type Client, openClient } from '../api/client.ts'
import { readLabels, refOf } from '../api/refs.ts'
import { command } from '../command.ts'
import type { Io } from '../io.ts'
import { paint } from '../output/paint.ts'
import { show } from '../output/show.ts'
import { formatTable, plain } from '../output/table.ts'
import { type Failed, failed, isFailed } from '../trouble.ts'

interface Explanation {
  revision: number
  steps: { stage: string; verdict: string; because: { handle: string }[]; detail: string | null }[]
  refusal: string | null
  target: { model: { handle: string }; credential: { handle: string } | null } | null
  reserve: { amount: string; currency: string } | null
}

const document = `query Explain($input: ExplainInput!) {
  explain(input: $input) {
    revision
    steps { stage verdict because { handle } detail }
    refusal
    target { model { handle } credential { handle } }
    reserve { amount currency }
  }
}`

const bodyBytesMax = 1024 * 1024
const dialects = codecs.map((codec) => codec.toLowerCase().replaceAll('_', '-'))

export default command({
  name: 'explain',
  description:
    'Says what would happen to a request, step by step, without sending it. Exit 3 where it would be refused.',
  example: [
    'sluice explain gpt-4o --project checkout-bot --prompt "Hello"',
    'sluice explain --key ci --labels case=summary --dialect openai-chat --body request.json',
    'sluice explain gpt-4o --key ci --prompt "Hello" --at-revision 41 -o json',
  ].join('\n'),
  positionals: [{ name: 'alias', description: 'the model name that is asked for; a body may name it itself' }],
  options: {
    project: { type: 'string', hint: 'project', description: 'as any key of it that is bound to nothing' },
    key: { type: 'string', hint: 'key', description: 'as this application key' },
    labels: { type: 'string', hint: 'k=v,…', description: 'as x-sluice-labels would carry them' },
    prompt: { type: 'string', hint: 'text', description: 'one message of the user' },
    'max-output-tokens': { type: 'string', hint: '500', description: 'the limit that the request names' },
    body: { type: 'string', hint: 'file', description: 'a whole request in its dialect; - is standard input' },
    dialect: { type: 'string', hint: 'name', values: dialects, description: 'of the body; default openai-chat' },
    'at-revision': { type: 'string', hint: '41', description: 'an earlier revision that is still kept' },
  },
  async run({ positionals, options, format }, io) {
    const labels = options.labels === undefined ? null : readLabels(options.labels)
    if (labels && 'wrong' in labels) return failed('USAGE', `--labels ${labels.wrong}.`)
    const maxOutputTokens = countOf(options['max-output-tokens'])
    const atRevision = countOf(options['at-revision'])
    if (maxOutputTokens === undefined || atRevision === undefined)
      return failed('USAGE', '--max-output-tokens and --at-revision are whole numbers.')
    const body = options.body === undefined ? null : await readBody(options.body, io)
    if (isFailed(body)) return body
    const client = openClient(io)
    if (isFailed(client)) return client
    return told(client, io, format, {
      project: options.project ? refOf('project', options.project) : null,
      apiKey: options.key ? refOf('apiKey', options.key) : null,
      requestLabels: labels,
      atRevision,
      alias: positionals[0] ?? null,
      prompt: options.prompt ?? null,
      maxOutputTokens,
      dialect: body === null ? null : (options.dialect ?? 'openai-chat').toUpperCase().replaceAll('-', '_'),
      body,
    })
  },
})

/** Null where nothing was typed, undefined where it is no count. */
function countOf(typed: string | undefined): number | null | undefined {
  if (typed === undefined) return null
  return /^\d{1,9}$/.test(typed) ? Number(typed) : undefined
}

async function readBody(path: string, io: Io): Promise<string | Failed> {
  try {
    return path === '-' ? await io.readStdin(bodyBytesMax) : readFileSync(path, 'utf8')
  } catch (error) {
    return failed('UNREADABLE', `${path} cannot be read: ${(error as Error).message}.`)
  }
}

async function told(
  client: Client,
  io: Io,
  format: Parameters<typeof show>[1],
  input: object,
): Promise<0 | 3 | Failed> {
  const answer = await client.ask<{ explain: Explanation }>(document, { input })
  if (isFailed(answer)) return answer
  const { explain } = answer
  show(io, format, {
    data: explain,
    table: () => formatExplanation(explain, io),
    names: () => [explain.refusal ?? explain.target!.model.handle],
  })
  return explain.refusal === null ? 0 : 3
}

/** One line a stage, then what comes of it. */
export function formatExplanation(
  { steps, refusal, target, reserve, revision }: Explanation,
  io: Pick<Io, 'env' | 'isStdoutTty'>,
): string {
  const colour = paint(io.isStdoutTty, io.env)
  const table = formatTable(steps, [
    { title: 'STAGE', value: ({ stage }) => stage.toLowerCase() },
    { title: 'VERDICT', value: ({ verdict }) => verdict.toLowerCase() },
    { title: 'BECAUSE', value: ({ because }) => because.map(({ handle }) => handle).join(', ') || '-' },
    { title: 'DETAIL', value: ({ detail }) => detail ?? '' },
  ])
  const credential = target?.credential ? ` with ${target.credential.handle}` : ''
  const end =
    refusal === null
      ? `${colour.green('goes to')} ${plain(target!.model.handle)}${plain(credential)}, reserving ${reserve!.amount} ${reserve!.currency}`
      : `${colour.red('refused')} ${refusal}`
  return `${table}${end}  ${colour.dim(`revision ${revision}`)}\n`
}
