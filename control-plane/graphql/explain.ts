import type { Explanation as ExplanationShape, ExplanationStep as StepShape } from '../../data-plane/explain.ts'
import type { Codec } from '../../schema/config/index.ts'
import { explainRequest } from '../domain/explain.ts'
import { builder } from './builder.ts'
import { configEnum } from './config-inputs.ts'
import { requestError } from './errors.ts'
import { visibleResource } from './loaders.ts'
import { RouteTarget } from './model.ts'
import { Money } from './money.ts'
import { Verdict } from './policy-decision.ts'
import { ResourceType } from './refs.ts'

const ExplainInput = builder.inputType('ExplainInput', {
  description:
    'Whose request: a project, a key, or both. Which: an alias with a prompt, or a whole body in its dialect.',
  fields: (t) => ({
    project: t.field({ type: 'Ref', description: 'Without a key: as any key of it that is bound to nothing.' }),
    apiKey: t.field({ type: 'Ref' }),
    requestLabels: t.field({ type: 'Labels', description: 'As x-sluice-labels would carry them.' }),
    atRevision: t.field({ type: 'SafeInt', description: 'A revision whose snapshot is still kept; else the newest.' }),
    alias: t.string({ description: 'Beside a body: for dialects that name the model in the path.' }),
    prompt: t.string(),
    maxOutputTokens: t.int(),
    dialect: t.field({ type: configEnum('Codec') }),
    body: t.string(),
  }),
})

const Stage = builder.enumType('Stage', { values: ['AUTHENTICATE', 'PLAN', 'GUARD', 'ROUTE', 'ENCODE'] as const })

const ExplanationStep = builder.objectRef<StepShape>('ExplanationStep').implement({
  fields: (t) => ({
    stage: t.field({ type: Stage, resolve: ({ stage }) => stage }),
    verdict: t.field({
      type: Verdict,
      description: 'FLAGGED: it went on, but a policy had targets passed over or would have refused.',
      resolve: ({ verdict }) => verdict,
    }),
    because: t.field({
      type: [ResourceType],
      description: 'The resources that are the reason.',
      resolve: async ({ because }, _, ctx) => {
        const found = await Promise.all(because.map((id) => visibleResource(ctx, id)))
        return found.filter((resource) => resource !== null)
      },
    }),
    detail: t.exposeString('detail', { nullable: true }),
  }),
})

const Explanation = builder.objectRef<ExplanationShape>('Explanation').implement({
  description:
    'What a gateway would do, as far as configuration tells: targets are taken to be healthy, and budgets to have money.',
  fields: (t) => ({
    revision: t.field({ type: 'SafeInt', resolve: ({ revision }) => revision }),
    steps: t.field({
      type: [ExplanationStep],
      description: 'Up to the stage that refuses.',
      resolve: ({ steps }) => steps,
    }),
    refusal: t.string({
      nullable: true,
      description: 'A code of the refusal table, as on the wire (model_not_allowed).',
      resolve: ({ refusal }) => refusal,
    }),
    target: t.field({
      type: RouteTarget,
      nullable: true,
      description:
        'Where it would be sent first. Of a WEIGHTED route: the first that has a weight. `when` is told by the route alone.',
      resolve: ({ target }) => target,
    }),
    reserve: t.field({
      type: Money,
      nullable: true,
      description: 'The most that the first attempt can cost.',
      resolve: ({ reserve }) => reserve,
    }),
  }),
})

builder.queryField('explain', (t) =>
  t.field({
    type: Explanation,
    description: 'What would happen to this request, step by step, without sending it.',
    authScopes: { may: 'config:read' },
    args: { input: t.arg({ type: ExplainInput, required: true }) },
    complexity: 500,
    resolve: async (_, { input }, ctx) => {
      const explanation = await explainRequest(ctx.domain, ctx.actor, {
        ...input,
        dialect: input.dialect as Codec | null,
      })
      if ('wrong' in explanation) throw requestError('BAD_DOCUMENT', explanation.wrong)
      return explanation
    },
  }),
)
