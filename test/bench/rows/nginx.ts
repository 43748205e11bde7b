import { nginx } from '../../real/nginx.ts'
import { type Bed, pin, type Subject, subjectCore } from '../bed.ts'
import { measureFullLoad } from '../load.ts'
import type { Row } from '../row.ts'

async function nginxProxy(bed: Bed): Promise<Subject> {
  const stub = await bed.stub()
  return bed.subject('nginx', async () => {
    const started = await nginx({ upstream: stub.url })
    await pin(started.pid, subjectCore)
    return { started, subject: { url: started.url, headers: {}, model: 'bench', said: {} } }
  })
}

const row = (streamed: boolean): Row => ({
  name: streamed ? 'nginx-stream' : 'nginx-plain',
  title: `nginx proxy_pass, ${streamed ? 'streamed' : 'plain'}`,
  against: { row: streamed ? 'bare-stream' : 'bare-plain', as: 'ratio' },
  measure: async (bed) => measureFullLoad(bed, 'nginx', await nginxProxy(bed), streamed),
})

export const nginxRows = [row(false), row(true)]
