import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AlertHouse, centUpstream, declaration, HandClock, type ToldAlert } from './parts/alert-house.ts'
import { AlertReceiver } from './parts/alert-receiver.ts'
import { Checks, type Proof, type ProofOptions } from './parts/proof.ts'
import type { ProviderBill } from './parts/provider-bill.ts'

const secondMs = 1_000
const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** An alert is there so soon after what it tells of, in real time. */
const soonMs = 6_000
const servesWithinMs = 15_000

const proof: Proof = {
  shows:
    'thresholds, exhaustion, burn rates and forecasts raise alerts once, which arrive signed though the receiver fails; bills are held against the records',
  async run(options) {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-alerts-'))
    const clock = new HandClock(folder, nextMonthMs() + 60 * secondMs)
    const upstream = centUpstream(clock)
    const receiver = new AlertReceiver()
    const house = await AlertHouse.start(folder, clock, declaration(upstream.url, receiver.url))
    try {
      return await story({ ...options, folder, house, clock, receiver, bill: upstream.bill, checks: new Checks() })
    } finally {
      await house.sluice.stop()
      await receiver.stop()
      await upstream.stop()
      rmSync(folder, { recursive: true })
    }
  },
}
export default proof

/** Days and months have just begun, so that their windows are whole. */
function nextMonthMs(): number {
  const now = new Date()
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1)
}

interface Scene extends ProofOptions {
  folder: string
  house: AlertHouse
  clock: HandClock
  receiver: AlertReceiver
  bill: ProviderBill
  checks: Checks
}

async function story(scene: Scene) {
  const { house, say, checks } = scene
  await serves(house)
  say('a control plane and a gateway run on a clock of their own; the webhook gets its secret')
  const retriedMs = await testedWebhook(scene)
  const stepsMs = await thresholds(scene)
  await exhaustion(scene)
  const burn = await burnRate(scene)
  const foretold = await forecast(scene)
  await rotation(scene)
  await nextDay(scene)
  await invoice(scene)
  const alerts = await house.alerts()
  arrivedOnce(scene, alerts)
  const figures = {
    alerts: alerts.length,
    retriedMs,
    stepsMs,
    ...burn,
    ...foretold,
    posts: scene.receiver.received.length,
  }
  return { figures, short: checks.short }
}

async function serves(house: AlertHouse): Promise<void> {
  const untilMs = performance.now() + servesWithinMs
  while ((await house.spend('slow', 1)) !== 200 && performance.now() < untilMs) await Bun.sleep(50)
}

/** Fails the first attempt; the second comes when the clock says so, with the same id. */
async function testedWebhook({ house, clock, receiver, checks, say }: Scene): Promise<number> {
  const secret = await house.sluice.command('webhook', 'secret', 'pager')
  receiver.secrets = [secret.out.trim()]
  receiver.failing = 1
  checks.equal(
    'sluice webhook test where the receiver fails',
    (await house.sluice.command('webhook', 'test', 'pager')).code,
    1,
  )
  const startedMs = performance.now()
  clock.advance(5 * secondMs)
  await until(() => receiver.taken.length > 0)
  const retriedMs = Math.round(performance.now() - startedMs)
  checks.equal(
    'attempts of the test',
    receiver.received.map(({ status }) => status),
    [503, 204],
  )
  checks.that(new Set(receiver.received.map(({ id }) => id)).size === 1, 'the retry had another webhook-id')
  say(`the test came at the second attempt, ${retriedMs} ms after it was due`)
  return retriedMs
}

async function thresholds({ house, receiver, checks, say }: Scene): Promise<number> {
  checks.equal('a request of 4.00', await house.spend('steps', 400), 200)
  await Bun.sleep(soonMs)
  checks.equal('alerts at 40 %', (await house.told('BUDGET_THRESHOLD', 'steps', 1, 0)).length, 0)
  // The receiver is away for the first attempts of the alerts that follow.
  receiver.failing = 2
  const startedMs = performance.now()
  checks.equal('a request of 1.50', await house.spend('steps', 150), 200)
  checks.equal('alerts at 55 %', (await house.told('BUDGET_THRESHOLD', 'steps', 1, soonMs)).length, 1)
  const tookMs = Math.round(performance.now() - startedMs)
  checks.equal('a request of 2.70', await house.spend('steps', 270), 200)
  checks.equal('alerts at 82 %', (await house.told('BUDGET_THRESHOLD', 'steps', 2, soonMs)).length, 2)
  say(`thresholds of 50 % and 80 % were told once each, the first after ${tookMs} ms`)
  return tookMs
}

async function exhaustion({ house, checks, say }: Scene): Promise<void> {
  checks.equal('the last 1.80', await house.spend('steps', 180), 200)
  checks.equal('a request without money', await house.spend('steps', 10), 402)
  checks.equal('alerts of exhaustion', (await house.told('BUDGET_EXHAUSTED', 'steps', 1, soonMs)).length, 1)
  say('the exhausted budget was told')
}

/** One dear request is no rate; a dozen small ones in a minute are. */
async function burnRate({ house, clock, checks, say }: Scene) {
  checks.equal('one dear request', await house.spend('fast', 2_000), 200)
  await Bun.sleep(soonMs)
  checks.equal('burn rates after one dear request', (await house.told('BURN_RATE', 'fast', 1, 0)).length, 0)
  clock.advance(120 * secondMs)
  const beganMs = clock.nowMs
  const everyMs = 4 * secondMs
  // 4 cents in 4 seconds: some 26 times what a month of 1,000 lasts at.
  for (let at = 0; at < 13; at++) {
    checks.equal('a small request', await house.spend('fast', 4), 200)
    await Bun.sleep(300)
    clock.advance(everyMs)
  }
  const [alert] = await house.told('BURN_RATE', 'fast', 1, soonMs)
  checks.that(alert !== undefined, 'the burn rate was not told within a minute')
  const burnSeconds = alert ? (Date.parse(alert.at) - beganMs) / secondMs : -1
  checks.that(burnSeconds <= 60, `the burn rate was told after ${burnSeconds} s`)
  say(`a burn rate of ${alert?.figures.burnRate} was told after ${burnSeconds} s of the clock`)
  return { burnSeconds, burnRate: alert?.figures.burnRate ?? '-' }
}

/** 2.00 an hour do not last a day of 24.00. */
async function forecast({ house, clock, checks, say }: Scene) {
  for (let hour = 0; hour < 3; hour++) {
    checks.equal('an hour of 2.00', await house.spend('slow', 200), 200)
    await Bun.sleep(300)
    clock.advance(hourMs)
  }
  const [alert] = await house.told('BUDGET_FORECAST', 'slow', 1, 20_000)
  checks.that(alert !== undefined, 'what will be spent was not foretold')
  const { low, expected, high, exhaustedAt } = alert?.figures ?? {}
  const ordered = Number(low) <= Number(expected) && Number(expected) <= Number(high)
  checks.that(ordered, `the forecast is not in order: ${low}, ${expected}, ${high}`)
  const from = Number(alert?.figures.spent ?? 0)
  checks.that(Number(low) >= from && Number(expected) > 24, `the forecast is ${low} to ${high} after ${from}`)
  checks.that(Date.parse(exhaustedAt ?? '') > clock.nowMs, `the money is said to run out at ${exhaustedAt}`)
  say(`foretold: ${expected} of 24 (${low} to ${high}), used up at ${exhaustedAt}`)
  return { forecast: expected ?? '-', low: low ?? '-', high: high ?? '-' }
}

/** While both secrets are good, a delivery carries both signatures. */
async function rotation({ house, receiver, checks, say }: Scene): Promise<void> {
  const { out } = await house.sluice.command('webhook', 'secret', 'pager', '--overlap', '2d')
  receiver.secrets.push(out.trim())
  checks.equal(
    'sluice webhook test after the rotation',
    (await house.sluice.command('webhook', 'test', 'pager')).code,
    0,
  )
  checks.equal('signatures while two secrets are good', receiver.received.at(-1)?.signatures, 2)
  say('the secret was rotated; both sign')
}

/** With its window an exhausted budget's alerts are over. */
async function nextDay({ house, clock, checks, say }: Scene): Promise<void> {
  clock.advance(dayMs)
  const ended = ['BUDGET_THRESHOLD', 'BUDGET_EXHAUSTED']
  const open = async () =>
    (await house.alerts()).filter(
      ({ trigger, subject, resolvedAt }) => ended.includes(trigger) && subject?.name === 'steps' && !resolvedAt,
    )
  await until(async () => (await open()).length === 0)
  checks.equal('alerts of yesterday that are open', await open(), [])
  say('with the next day they are over')
}

/** What the provider bills agrees with the records to the cent; a bill that says more is shown to do so, by day and model. */
async function invoice({ folder, house, bill, checks, say }: Scene): Promise<void> {
  const file = join(folder, 'bill.csv')
  const columns = 'date=Day,model=Model,input=Prompt,output=Completion,cost=Cost'
  const compare = async () => {
    const asked = ['--file', file, '--columns', columns, '--tolerance', '0']
    const { code, out } = await house.sluice.command('spend', 'reconcile', ...asked, '-o', 'json')
    return { code, ...(JSON.parse(out) as Comparison) }
  }
  bill.export(file)
  let right = await compare()
  // The last records may still be on their way.
  for (let tries = 0; tries < 20 && right.different > 0; tries++, right = await compare()) await Bun.sleep(250)
  checks.equal('differences from the bill', [right.code, right.different], [0, 0])
  checks.equal('days that were compared', new Set(right.lines.map(({ day }) => day)).size, bill.days.length)
  bill.export(file, 100)
  const wrong = await compare()
  const [differing] = wrong.lines.filter(({ verdict }) => verdict !== right.lines[0]!.verdict)
  checks.equal('a bill that says 1.00 too much', [wrong.code, wrong.different], [2, 1])
  checks.equal('where it does', [differing?.day, differing?.difference.cost], [bill.days[0], '1'])
  say(`the provider's bill of ${bill.days.length} days agrees with the records; one that says 1.00 more is found out`)
}

interface Comparison {
  different: number
  lines: { day: string; model: string; verdict: string; difference: { cost: string } }[]
}

/** Each alert was sent when it was raised and when it was resolved, and taken once each. */
function arrivedOnce({ receiver, checks }: Scene, alerts: ToldAlert[]): void {
  const arrivals = (type: string, id: string) =>
    receiver.taken.filter(({ body }) => body.type === type && body.data.alert?.id === id).length
  for (const { id, summary, resolvedAt } of alerts) {
    checks.equal(`arrivals of "${summary}"`, arrivals('ALERT_RAISED', id), 1)
    checks.equal(`arrivals of the end of "${summary}"`, arrivals('ALERT_RESOLVED', id), resolvedAt ? 1 : 0)
  }
  checks.that(
    receiver.received.every(({ signatures }) => signatures > 0),
    'a delivery had no good signature',
  )
  const once = new Set(receiver.taken.map(({ id }) => id)).size
  checks.equal('deliveries that were taken twice', receiver.taken.length - once, 0)
}

async function until(holds: () => boolean | Promise<boolean>, withinMs = 15_000): Promise<void> {
  const untilMs = performance.now() + withinMs
  while (!(await holds()) && performance.now() < untilMs) await Bun.sleep(100)
}
