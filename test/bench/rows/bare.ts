import { type Bed, type Subject, startMain, subjectCore } from '../bed.ts'
import { measureFullLoad } from '../load.ts'
import type { Row } from '../row.ts'

/** The bare proxy; `way` says what it does with a stream. */
async function bareProxy(bed: Bed, way: 'parsed' | 'through'): Promise<Subject> {
  const stub = await bed.stub()
  const proxy = await bed.subject('bare proxy', async () => {
    const { started, said } = await startMain('proxy-main.ts', subjectCore, { BENCH_UPSTREAM: stub.url })
    return { started, subject: { url: said.url as string, headers: {}, model: 'bench', said } }
  })
  return { ...proxy, url: `${proxy.url}/${way}` }
}

/** The measure of the others: what a gateway on Bun has to do at the least. */
export const bareRows: Row[] = [
  {
    name: 'bare-plain',
    title: 'Bare Bun proxy, JSON parsed both ways',
    measure: async (bed) => measureFullLoad(bed, 'bare', await bareProxy(bed, 'parsed'), false),
  },
  {
    name: 'bare-stream',
    title: 'Bare Bun proxy, each event parsed',
    measure: async (bed) => measureFullLoad(bed, 'bare parsed', await bareProxy(bed, 'parsed'), true),
  },
  {
    name: 'bare-stream-through',
    title: 'Bare Bun proxy, stream passed',
    against: { row: 'bare-stream', as: 'ratio' },
    measure: async (bed) => measureFullLoad(bed, 'bare through', await bareProxy(bed, 'through'), true),
  },
]
