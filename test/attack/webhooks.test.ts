import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Actor } from '../../control-plane/domain/actor.ts'
import { declareAll, type TestContext, testContext, testTenant } from '../../control-plane/domain/test-context.ts'
import type { Posted } from '../../control-plane/domain/webhooks/post.ts'
import { webhookSecretRotate } from '../../control-plane/domain/webhooks/secrets.ts'
import { startSender } from '../../control-plane/domain/webhooks/sender.ts'
import { webhookTest } from '../../control-plane/domain/webhooks/trial.ts'
import { PrivateHosts } from '../../schema/hosts/private-hosts.ts'

let ctx: TestContext
beforeAll(async () => {
  ctx = await testContext()
})
afterAll(() => ctx.stop())

/** A tenant with so many webhooks, each of which has so many deliveries to make. */
async function house(webhooks: number, each: number): Promise<Actor> {
  const { owner } = await testTenant(ctx)
  for (let at = 0; at < webhooks; at++) {
    const webhook = `webhook/w${at}`
    await declareAll(ctx, owner, [['webhook', { name: `w${at}`, url: `https://hooks.example/${at}` }]])
    await webhookSecretRotate(ctx, owner, { idempotencyKey: `s${at}`, webhook, overlap: 'PT1H' })
    for (let n = 0; n < each; n++)
      await webhookTest(ctx, owner, { idempotencyKey: `${at} ${n}`, webhook, event: 'CONFIG_CHANGED' })
  }
  return owner
}

describe('a tenant whose many receivers answer slowly', () => {
  it('keeps the deliveries of others waiting for no more than one of its own', async () => {
    const slow = await house(12, 4)
    ctx.clock.nowMs += 1_000
    const quick = await house(1, 1)
    const sent: { tenant: string; answer: (posted: Posted) => void }[] = []
    const send = ({ body }: { body: string }) =>
      new Promise<Posted>((answer) => sent.push({ tenant: JSON.parse(body).tenant, answer }))
    const until = async (count: number) => {
      for (let tries = 0; sent.length < count && tries < 200; tries++) await Bun.sleep(20)
      return sent.length
    }
    // Those that came first take every place there is.
    ctx.clock.nowMs -= 1_000
    const sender = await startSender(ctx, { privateHosts: new PrivateHosts(), send })
    expect(await until(32)).toBe(32)
    ctx.clock.nowMs += 1_000
    sent[0]!.answer({ status: 200, retryAfterMs: null })
    expect(await until(33)).toBe(33)
    expect(sent.map(({ tenant }) => tenant)).toEqual([...Array(32).fill(slow.tenant), quick.tenant])
    for (const { answer } of sent) answer({ status: 200, retryAfterMs: null })
    const rest = setInterval(() => {
      for (const { answer } of sent) answer({ status: 200, retryAfterMs: null })
    }, 20)
    await sender.stop()
    clearInterval(rest)
  })
})
