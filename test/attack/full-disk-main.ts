import { JournalRecorder } from '../../adapters/ports/journal/recorder.ts'
import type { RecordDraft } from '../../data-plane/record.ts'
import { mintId } from '../../schema/ids.ts'

/**
 * A process whose files may suddenly not grow any more, and later may again: a disk that is full and is then freed, without
 * needing a disk of its own. SIGXFSZ must be ignored by who starts it. Prints what it was promised and what it can read.
 */
const [dataDir, instance, tenant, sizeText] = process.argv.slice(2) as [string, string, string, string]
const recorder = await JournalRecorder.open({
  dataDir,
  identity: { instance, dataPlane: mintId('dataPlane'), bootId: 'b', version: '1' },
})

function limitFiles(bytes: string): void {
  const { success } = Bun.spawnSync(['prlimit', '--pid', String(process.pid), `--fsize=${bytes}:`])
  if (!success) throw new Error('prlimit failed')
}

const acknowledged: string[] = []
async function record(count: number): Promise<number> {
  const before = acknowledged.length
  for (let at = 0; at < count; at++) {
    const draft = { alias: 'x'.repeat(1_500), at: Date.now(), cost: '0', id: mintId('request'), tenant } as RecordDraft
    if (recorder.intend(draft)) continue
    if (!(await recorder.record(draft))) acknowledged.push(draft.id)
  }
  return acknowledged.length - before
}

const whileRoom = await record(5)
limitFiles(sizeText)
const whileFilling = await record(60)
await Bun.sleep(1_100)
const whileFull = await record(10)
limitFiles('unlimited')
await Bun.sleep(1_100)
const whenFreed = await record(10)
console.log(JSON.stringify({ acknowledged, whileRoom, whileFilling, whileFull, whenFreed }))
process.exit(0)
