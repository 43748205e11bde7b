import { JournalRecorder } from '../../adapters/ports/journal/recorder.ts'
import { startGateway } from '../flow/gateway.ts'

/** A gateway on a data directory that outlives it. Prints its address and key, and serves until it is killed. */
const [dataDir, instance, baseUrl] = process.argv.slice(2) as [string, string, string]
const openAnywhere = JournalRecorder.open
JournalRecorder.open = (options) =>
  openAnywhere.call(JournalRecorder, { ...options, dataDir, identity: { ...options.identity, instance } })
const breaker = { failures: 1e9, windowMs: 1, coolDownMs: 1 }
const { url, key } = await startGateway({ baseUrl, retry: { attempts: 2, backoffMs: 1 }, breaker })
console.log(JSON.stringify({ url, key }))
