import type { RecordDecision, RecordFinding } from '../../schema/flight-record.ts'
import { builder } from './builder.ts'
import { configEnum } from './config-inputs.ts'
import { resourceOf } from './loaders.ts'
import { Policy, RateLimit } from './refs.ts'

export const Verdict = builder.enumType('Verdict', {
  values: ['PASSED', 'FLAGGED', 'REDACTED', 'BLOCKED', 'ERRORED'] as const,
})
const Direction = builder.enumType('Direction', { values: ['REQUEST', 'RESPONSE'] as const })
const ContentAction = builder.enumType('ContentAction', {
  values: ['BLOCK', 'REDACT', 'MASK', 'HASH', 'TOKENIZE', 'FLAG'] as const,
})

const Finding = builder.objectRef<RecordFinding>('Finding').implement({
  description: 'A type and a place, never the text.',
  fields: (t) => ({
    entity: t.exposeString('entity'),
    direction: t.field({ type: Direction, resolve: ({ direction }) => direction }),
    start: t.expose('start', { type: 'SafeInt' }),
    end: t.expose('end', { type: 'SafeInt' }),
    action: t.field({ type: ContentAction, resolve: ({ action }) => action }),
    score: t.expose('score', { type: 'Decimal', nullable: true }),
  }),
})

export const PolicyDecision = builder.objectRef<RecordDecision>('PolicyDecision').implement({
  description:
    'What one policy said of a request. FLAGGED: it would have refused (OBSERVE), or targets were passed over for it.',
  fields: (t) => ({
    policy: t.field({
      type: Policy,
      nullable: true,
      resolve: ({ policy }, _, ctx) => resourceOf(ctx, 'policy', policy),
    }),
    rateLimit: t.field({
      type: RateLimit,
      nullable: true,
      description: 'Where a rate limit decided, and no policy.',
      resolve: ({ policy }, _, ctx) => resourceOf(ctx, 'rateLimit', policy),
    }),
    mode: t.field({ type: configEnum('PolicyMode'), resolve: ({ mode }) => mode }),
    verdict: t.field({ type: Verdict, resolve: ({ verdict }) => verdict }),
    score: t.expose('score', { type: 'Decimal', nullable: true }),
    detail: t.exposeString('detail', { nullable: true, description: 'Codes of refusals and ids of models.' }),
    detector: t.exposeString('detector', { nullable: true }),
    detectorVersion: t.exposeString('detectorVersion', { nullable: true }),
    detectorHash: t.exposeString('detectorHash', { nullable: true }),
    findings: t.field({ type: [Finding], resolve: ({ findings }) => findings }),
    scannedBytes: t.field({
      type: 'SafeInt',
      description:
        'Bytes this policy really looked at, and bytes that were released. A content policy’s PASSED needs them equal.',
      resolve: ({ scannedBytes }) => scannedBytes,
    }),
    releasedBytes: t.field({ type: 'SafeInt', resolve: ({ releasedBytes }) => releasedBytes }),
  }),
})
