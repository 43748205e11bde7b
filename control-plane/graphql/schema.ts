import { type GraphQLSchema, printSchema } from 'graphql'
import { builder } from './builder.ts'
import './node.ts'
import './organisation.ts'
import './api-key.ts'
import './provider.ts'
import './rate-limit.ts'
import './model.ts'
import './policy.ts'
import './budget.ts'
import './data-plane.ts'
import './webhook.ts'
import './alert.ts'
import './apply.ts'
import './audit.ts'
import './flight-record.ts'
import './spend.ts'
import './tenants.ts'
import './viewer.ts'
import './explain.ts'
import './api-quota.ts'
import './budget-balance.ts'
import './budget-adjustment.ts'
import './lease.ts'
import './budget-verbs.ts'
import './subscriptions.ts'

/** The whole API. Any host that runs graphql-js may carry it: nothing in this folder knows which one does. */
export const schema: GraphQLSchema = builder.toSchema({ sortSchema: false })

/** The text of `schema/schema.graphql`. */
export const printedSchema = (): string => `${printSchema(schema)}\n`
