import { portkey } from '../../real/portkey.ts'
import { type Bed, pin, type Subject, subjectCore } from '../bed.ts'
import { measureFullLoad } from '../load.ts'
import type { Row } from '../row.ts'

async function portkeyGateway(bed: Bed): Promise<Subject> {
  const stub = await bed.stub()
  return bed.subject('Portkey', async () => {
    const started = await portkey()
    await pin(started.pid, subjectCore)
    const headers = {
      'x-portkey-provider': 'openai',
      'x-portkey-custom-host': `${stub.url}/v1`,
      authorization: 'Bearer none',
    }
    return { started, subject: { url: started.url, headers, model: 'bench', said: {} } }
  })
}

const row = (streamed: boolean): Row => ({
  name: streamed ? 'portkey-stream' : 'portkey-plain',
  title: `Portkey gateway on Bun, ${streamed ? 'streamed' : 'plain'}`,
  against: { row: streamed ? 'bare-stream' : 'bare-plain', as: 'ratio' },
  measure: async (bed) => measureFullLoad(bed, 'portkey', await portkeyGateway(bed), streamed),
})

export const portkeyRows = [row(false), row(true)]
