import type { Bed } from '../bed.ts'
import { fullLoad } from '../load.ts'
import type { Row, Sample } from '../row.ts'
import { sluice } from '../sluice.ts'

const blockS = 2
const flatWithin = 1.15

/** A fresh gateway answers many requests, plain and streamed by turns; its memory at half of them and at the end. */
async function afterMany(bed: Bed): Promise<Sample> {
  const gateway = await sluice(bed, { apart: 'memory' })
  const { memoryRequests } = bed.length
  let requests = 0
  let atHalf: number | undefined
  let last = 0
  for (let block = 0; requests < memoryRequests; block++) {
    const load = await fullLoad(gateway, block % 2 === 1, blockS)
    requests += load.requests
    last = load.rssMb!
    if (requests >= memoryRequests / 2) atHalf ??= last
    console.error(`bench: memory: ${requests.toLocaleString('en')} requests, ${last.toFixed(0)} MB`)
  }
  const grown = last / (atHalf ?? last)
  const note = `${requests.toLocaleString('en')} requests, × ${grown.toFixed(2)} since half of them`
  return { rssMb: last, note: grown <= flatWithin ? `${note}, flat` : note }
}

export const memoryRows: Row[] = [
  {
    name: 'sluice-memory',
    title: 'Sluice, memory after many requests',
    once: true,
    measure: afterMany,
    target: { text: '≤ 200 MB, flat', met: ({ rssMb, note }) => rssMb! <= 200 && note!.endsWith('flat') },
  },
]
