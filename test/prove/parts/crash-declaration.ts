import { inputPrice, outputPrice } from './crash-judgement.ts'

/** A priced provider with an instant and a dawdling model, and a project whose keys ask for them. */
export const declaration = (baseUrl: string) => `
kind: Provider
name: upstream
platform: OPENAI_COMPATIBLE
baseUrl: ${baseUrl}/v1
selfHosted: true
---
kind: Team
name: crew
---
kind: Principal
name: load
principalKind: SERVICE
---
kind: Project
name: crash
team: team/crew
purpose: To be cut off
---
kind: PriceSheet
name: proof
currency: USD
lines:
${['instant', 'dawdling']
  .map(
    (name) => `  - { model: model/${name}, meter: INPUT_TOKENS, amount: "${inputPrice}", per: 1000000 }
  - { model: model/${name}, meter: OUTPUT_TOKENS, amount: "${outputPrice}", per: 1000000 }`,
  )
  .join('\n')}
${['instant', 'dawdling']
  .map(
    (name) => `---
kind: Model
name: ${name}
provider: provider/upstream
upstreamName: ${name}
contextTokens: 2048
maxOutputTokens: 64
---
kind: Alias
name: ${name}
model: model/${name}
`,
  )
  .join('')}`
