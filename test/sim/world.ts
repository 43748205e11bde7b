import type { BudgetCounter } from '../../data-plane/ports.ts'
import { windowAt } from '../../schema/budget-window.ts'
import { formatAmount } from '../../schema/money.ts'
import { type Dice, diceOf } from './chance.ts'
import { MachineClock } from './clock.ts'
import { Control, type Neighbours, type Session } from './control.ts'
import { Disk } from './disk.ts'
import { type JournalEntry, replay } from './journal.ts'
import { Broken, type Counts, Judge } from './judge.ts'
import type { Downward, Upward } from './messages.ts'
import { firstRefusals, type PoolRequest } from './one-pool.ts'
import { type Fault, type Plan, type PlannedBudget, planOf } from './plan.ts'
import { type PlaneOptions, PlaneProcess, type PlaneWatch, type Uplink } from './plane.ts'
import { Store } from './store.ts'
import { Timeline } from './timeline.ts'
import { Truth, whose } from './truth.ts'
import { type Weather, Wire } from './wire.ts'

const retryMs = 100
/** Two processes that take the link from each other dial less and less often. */
const twinRetryMs = 5_000
/** After the storm: long enough for everybody to be linked, to deliver, to rest, and to give back. */
const calmMs = 50_000
/** One way over the link, on average, where refusals are judged. */
const nearMs = 5
const tendEveryMs = 2_500
const takesMsMax = 15_000
const stepsMax = 400_000
/** So long everything must have been in reach for a refusal to be judged. */
const settledMs = 3_000

/** One machine with an instance's folder. */
interface Machine {
  instance: string
  name: string
  disk: Disk<JournalEntry>
  clock: MachineClock
  process: PlaneProcess | undefined
  /** No link before. */
  blockedUntilMs: number
  linkedAtMs: number | undefined
  isCopy: boolean
}

export interface Outcome extends Counts {
  seed: number
  steps: number
  /** What a power cut took of what was in flight. */
  lostIntents: number
  virtualMs: number
  /** Spent of a limit at the first refusal, in percent, here and in one pool that knows everything. */
  firstRefusals: number[]
  onePool: number[]
}

/** How the protocol is to be broken, so that the judge can show that it sees it. */
export interface Breach {
  /** Of each schedule, beside its own. */
  faults?: readonly Fault[]
  store?: (store: Store) => void
  disk?: (disk: Disk<JournalEntry>) => void
  plane?: PlaneOptions
  /** What is made of a message on its way in. */
  up?: (message: Upward) => Upward
  down?: (message: Downward) => Downward
}

/** Runs one schedule to its end. Throws `Broken` with the seed where a promise is not kept. */
export function runSchedule(seed: number, breach: Breach = {}): Outcome {
  const planned = planOf(seed)
  const faults = new Set([...planned.faults, ...(breach.faults ?? [])])
  const world = new World({ ...planned, faults }, breach)
  try {
    return world.run()
  } catch (cause) {
    const told = cause instanceof Error ? cause.message : String(cause)
    if (traces) world.dump()
    throw new Broken(`seed ${seed} at ${world.timeline.nowMs.toFixed(1)} ms: ${told}`, { cause })
  }
}

class World {
  readonly timeline = new Timeline()
  readonly #dice: Dice
  readonly #store = new Store()
  readonly #truth = new Truth()
  readonly #judge: Judge
  readonly #machines: Machine[] = []
  readonly #controls: Control[] = []
  #backup: Store | undefined
  #weather: Weather
  #isStorm = true
  #disturbedAtMs = 0
  #lostIntents = 0
  #requests = 0
  readonly #asked: PoolRequest[] = []
  #isExact = true

  constructor(
    readonly plan: Plan,
    readonly breach: Breach,
  ) {
    this.#dice = diceOf(plan.seed ^ 0x5eed)
    const lossy = plan.faults.has('LOSSY')
    this.#weather = { meanMs: plan.delayMs, ...(lossy ? { lost: 0.1, repeated: 0.1, late: 0.1 } : fair) }
    for (const budget of plan.budgets) this.#declare(budget, budget.limit)
    breach.store?.(this.#store)
    this.#judge = new Judge(
      this.#store,
      this.#truth,
      () => this.nowMs,
      () => this.#isCalm,
    )
    for (let at = 0; at < plan.replicas; at++) this.#controls.push(this.#makeControl())
    for (let at = 0; at < plan.planes; at++) this.#addMachine(`ins_${at}`, `plane ${at}`, this.#newDisk())
  }

  /** Of the control plane's clock. */
  get nowMs(): number {
    return Math.floor(this.plan.startMs + this.timeline.nowMs)
  }

  run(): Outcome {
    const { plan, timeline } = this
    this.#sow()
    let steps = 0
    const through = (untilMs: number) => {
      while (timeline.step(untilMs)) {
        this.#judge.check()
        if (++steps > stepsMax) throw new Broken('the schedule does not come to rest')
      }
    }
    through(plan.stormMs)
    this.#calm()
    through(plan.stormMs + calmMs)
    this.#rest()
    return {
      ...{ ...this.#judge.counts, seed: plan.seed, steps, lostIntents: this.#lostIntents, virtualMs: timeline.nowMs },
      ...this.#utilisation(),
    }
  }

  dump(): void {
    for (const row of this.#store.counters.values()) console.log(row)
    for (const {
      budget,
      subject,
      from,
      instance,
      epoch,
      granted,
      returned,
      posted,
      overrun,
      agedAtMs,
    } of this.#store.leases.values())
      console.log(
        [
          budget,
          subject,
          from,
          instance,
          epoch,
          granted,
          returned,
          posted,
          granted - returned - posted,
          overrun,
          agedAtMs,
        ].join(' '),
      )
    for (const sums of this.#truth.sums.values()) console.log(sums)
  }

  /** At the first refusal under each counter, here and in one pool that knows everything; only where nothing else disturbs. */
  #utilisation(): Pick<Outcome, 'firstRefusals' | 'onePool'> {
    const { plan } = this
    const plain = plan.budgets.filter(({ rule, action }) => rule.period === 'LIFETIME' && action === 'BLOCK')
    if (plan.faults.size > 0 || plain.length < plan.budgets.length) return { firstRefusals: [], onePool: [] }
    const limits = new Map(plan.budgets.flatMap((budget) => countersOf(budget).map((name) => [name, budget.limit])))
    return {
      firstRefusals: [...this.#judge.firstRefusals.values()],
      onePool: firstRefusals(this.#asked, limits).map(({ spentPercent }) => spentPercent),
    }
  }

  /** Requests and faults, each at its time. */
  #sow(): void {
    const { plan, timeline } = this
    for (let at = 0; at < plan.requests; at++) timeline.after(this.#dice.int(0, plan.stormMs), () => this.#request())
    for (let at = 0; at < this.#dice.int(0, 2); at++) this.#burst()
    for (const fault of plan.faults)
      for (let times = this.#dice.int(1, 3); times > 0; times--)
        timeline.after(this.#dice.int(0, plan.stormMs), () => this.#strike(fault))
    this.#tend()
  }

  /** Many at once. */
  #burst(): void {
    const atMs = this.#dice.int(0, this.plan.stormMs)
    const count = this.#dice.int(5, 20)
    for (let at = 0; at < count; at++) this.timeline.after(atMs + this.#dice.int(0, 20), () => this.#request())
  }

  /** What a control plane does now and then. */
  #tend(): void {
    for (const book of this.#store.tendAll(this.nowMs)) if (book.changes.counters.length > 0) this.#neighbours.freed()
    this.#store.closeWindows(this.nowMs)
    this.#recallOverdrawn()
    this.timeline.after(tendEveryMs, () => this.#tend())
  }

  /** A limit was set below what is out: unreserved money comes back. */
  #recallOverdrawn(): void {
    for (const row of this.#store.counters.values()) {
      const short = row.committed - row.limit - row.adjustments
      if (short <= 0n || !this.#store.declared.get(row.budget)?.guarded || row.to <= this.nowMs) continue
      const asks = [{ budget: row.budget, subject: row.subject || null, amount: short, forMs: 1_000 }]
      for (const id of this.#store.instances.keys()) this.#neighbours.recall(id, asks)
    }
  }

  #declare(budget: PlannedBudget, limit: bigint): void {
    const { id, rule, carryOver, isHard } = budget
    this.#store.declared.set(id, { id, limit, rule, carryOver, guarded: isHard, live: true })
  }

  readonly #neighbours: Neighbours = {
    freed: () => {
      for (const control of this.#controls) control.freed()
    },
    recall: (instance, asks) => {
      for (const control of this.#controls)
        control.sessions.get(instance)?.send({
          type: 'leaseRecall',
          tenant: 'tnt_sim',
          asks: asks.map((ask) => ({ ...ask, amount: amountText(ask.amount) })),
        })
    },
  }

  #makeControl(): Control {
    const control: Control = new Control(
      this.timeline,
      this.#store,
      () => this.nowMs,
      this.#neighbours,
      () => {
        if (this.#crashAt === undefined || this.#crashAt-- > 0) return false
        this.#crashAt = undefined
        this.#disturb()
        control.end()
        return true
      },
    )
    return control
  }
  /** Points of transactions until the control plane ends at one. */
  #crashAt: number | undefined

  #newDisk(): Disk<JournalEntry> {
    const disk = new Disk<JournalEntry>(this.timeline, this.#dice, this.plan.syncMs)
    this.breach.disk?.(disk)
    return disk
  }

  #addMachine(instance: string, name: string, disk: Disk<JournalEntry>, isCopy = false): Machine {
    const clock = new MachineClock(this.timeline, this.plan.startMs, this.#dice.pick([0, 0, 1e-5, -1e-4]))
    clock.skewMs = this.#dice.pick([0, 20, -900, 4_000, -30_000])
    const machine: Machine = {
      ...{ instance, name, disk, clock, process: undefined, isCopy },
      ...{ blockedUntilMs: 0, linkedAtMs: undefined },
    }
    this.#machines.push(machine)
    this.#start(machine)
    return machine
  }

  #start(machine: Machine): void {
    if (machine.process) return
    machine.process = new PlaneProcess(this.timeline, machine.disk, machine.clock, this.#truth, this.#watch, {
      ...this.breach.plane,
      isCopy: machine.isCopy,
    })
    this.#connectLater(machine, machine.process)
  }

  readonly #watch: PlaneWatch = {
    started: (leases) => {
      // A provider that bills more than its own limits, and a copy that spends twice, are no fault of the journal.
      if (!this.plan.faults.has('OVERRUN') && this.#isExact) this.#judge.started(leases)
    },
    waits: (request, ceiling) => {
      const counters = request.counters.map(({ of, subject }) => `${of.id} ${subject ?? ''}`)
      this.#tell(() => `${request.id} asks for ${amountText(ceiling)} under ${counters.join(', ')}`)
      this.#judge.waits(request, ceiling)
    },
    reserved: (request) => {
      this.#tell(() => `${request.id} is served`)
      this.#judge.reserved(request)
    },
    refused: (request, ceiling, shortage) => {
      this.#tell(() => `${request.id} is refused: ${shortage.reason ?? 'short'}`)
      this.#judge.refused(request, ceiling, shortage)
    },
    left: (request) => this.#judge.left(request),
  }

  #stop(machine: Machine): void {
    machine.process?.end()
    machine.process = undefined
    machine.linkedAtMs = undefined
    this.#disturb()
  }

  #connectLater(machine: Machine, process: PlaneProcess): void {
    const waitMs = Math.max(
      this.#dice.waitMs(this.#isExact ? retryMs : twinRetryMs),
      machine.blockedUntilMs - this.timeline.nowMs,
    )
    this.timeline.after(waitMs, () => {
      if (machine.process !== process || process.uplink) return
      this.#connect(machine, process)
    })
  }

  #connect(machine: Machine, process: PlaneProcess): void {
    const control = this.#dice.pick(this.#controls)
    this.#exceptTwins(machine)
    const { epoch, heads } = this.#store.openEpoch(machine.instance, process.epoch)
    let isOpen = true
    const close = () => {
      if (!isOpen) return
      isOpen = false
      up.cut()
      down.cut()
      control.closed(session)
      machine.linkedAtMs = undefined
      this.#disturb()
      this.timeline.after(this.#dice.waitMs(this.plan.delayMs), () => {
        process.closed(uplink)
        if (machine.process === process) this.#connectLater(machine, process)
      })
    }
    const receive = (message: Downward) => {
      if (!isOpen || machine.process !== process) return
      this.#tell(() => `${machine.name} (epoch ${epoch}) hears ${told(message)}`)
      if (message.type === 'goodbye') close()
      else if (message.type === 'welcome') {
        process.opened(uplink, message)
        machine.linkedAtMs = this.timeline.nowMs
      } else process.receive(message)
    }
    const take = (message: Upward) => {
      this.#tell(() => `${machine.name} (epoch ${epoch}) says ${told(message)}`)
      control.receive(session, message)
    }
    const { down: spoilDown = asItIs, up: spoilUp = asItIs } = this.breach
    const down = new Wire<Downward>(this.timeline, this.#dice, this.#weather, (each) => receive(spoilDown(each)))
    const up = new Wire<Upward>(this.timeline, this.#dice, this.#weather, (each) => take(spoilUp(each)))
    const session: Session = { instance: machine.instance, epoch, send: (message) => down.send(message), close }
    const uplink: Uplink = { send: (message) => up.send(message), close }
    control.opened(session)
    // A handshake is not lost: who hears nothing dials again.
    this.timeline.after(this.#dice.waitMs(this.plan.delayMs), () =>
      receive({ type: 'welcome', epoch, heads, serverTimeMs: this.nowMs }),
    )
  }

  /** Two processes of one instance: what one holds when the other's link fences it can be given back by that one, and spent by this. */
  #exceptTwins(machine: Machine): void {
    for (const { instance, process } of this.#machines.filter((each) => each !== machine)) {
      if (instance !== machine.instance || !process) continue
      for (const { budget, subject, free, reserved } of process.book.leases)
        if (free + reserved > 0n) this.#truth.except({ budget, subject }, free + reserved)
    }
  }

  #request(): void {
    const machine = this.#dice.pick(this.#machines)
    const { process } = machine
    const id = `req_${this.#requests++}`
    const made = this.#makeRequest(id)
    const { ceiling, cost, takesMs } = made.attempts[0]!
    const fromMs = this.timeline.nowMs
    const counters = made.counters.map(({ of, subject }) => whose({ budget: of.id, subject }))
    this.#asked.push({ fromMs, toMs: fromMs + takesMs, ceiling, cost, counters })
    process?.serve(made)
  }

  #makeRequest(id: string) {
    const { plan } = this
    const dice = this.#dice
    const counters = plan.budgets.flatMap((budget): BudgetCounter[] => {
      if (!dice.odds(0.8)) return []
      return [{ of: budget, subject: budget.subjects > 0 ? `sub_${dice.int(1, budget.subjects)}` : null }]
    })
    const ceiling = dice.amount(plan.ceilings.least, plan.ceilings.most)
    const attempt = () => {
      const least = dice.amount(1n, ceiling)
      const over = plan.faults.has('OVERRUN') && dice.odds(0.1) ? ceiling + dice.amount(1n, ceiling) : undefined
      const cost = over ?? (dice.odds(0.2) ? ceiling : dice.odds(0.1) ? 0n : least)
      return {
        ceiling,
        cost,
        takesMs: Math.min(takesMsMax, dice.waitMs(dice.pick([50, 500, 5_000]))),
        unknown: dice.odds(0.05),
      }
    }
    const more = plan.faults.has('RETRY') && dice.odds(0.3) ? [attempt()] : []
    const softens = counters.some(({ of }) => of.action === 'CAP' || of.action === 'DOWNGRADE')
    return {
      ...{ id, counters, attempts: [attempt(), ...more] },
      leavesAfterMs: plan.faults.has('LEAVING') && dice.odds(0.3) ? dice.waitMs(200) : null,
      instead: softens ? [ceiling / 3n] : [],
    }
  }

  #tell(what: () => string): void {
    if (traces) console.log(`${this.timeline.nowMs.toFixed(1).padStart(9)} ${what()}`)
  }

  #disturb(): void {
    this.#disturbedAtMs = this.timeline.nowMs
  }

  get #isCalm(): boolean {
    const nowMs = this.timeline.nowMs
    const isLinked = ({ linkedAtMs }: Machine) => linkedAtMs !== undefined && nowMs - linkedAtMs > settledMs
    const disturbing = [...this.plan.faults].some((fault) => !harmless.has(fault))
    if (disturbing || this.plan.delayMs > nearMs || nowMs - this.#disturbedAtMs <= settledMs) return false
    return this.#machines.every(isLinked) && !this.plan.budgets.some((budget) => this.#hasJustTurned(budget))
  }

  #hasJustTurned({ rule }: PlannedBudget): boolean {
    return windowAt(rule, this.nowMs).from !== windowAt(rule, this.nowMs - settledMs).from
  }

  #strike(fault: Fault): void {
    if (!this.#isStorm) return
    const machine = this.#dice.pick(this.#machines)
    this.#tell(() => `${fault} strikes, ${machine.name}`)
    this.#strikes[fault](machine)
  }

  readonly #strikes: Record<Fault, (machine: Machine) => void> = {
    KILL: (machine) => {
      this.#stop(machine)
      this.timeline.after(this.#dice.waitMs(1_000), () => this.#start(machine))
    },
    POWER: (machine) => {
      this.#stop(machine)
      machine.disk.loseTail()
      const { open, chains } = replay(machine.disk.entries)
      const begun = open.map(({ id, nth }) => [id, nth + 1] as const)
      const ended = [...chains.values()].flat().map(({ id }) => [id, Number.POSITIVE_INFINITY] as const)
      this.#lostIntents += this.#truth.loses(machine.disk, new Map([...begun, ...ended]))
      this.timeline.after(this.#dice.waitMs(3_000), () => this.#start(machine))
    },
    CUT: ({ process }) => process?.uplink?.close(),
    LOSSY: () => undefined,
    CONTROL_CRASH: () => {
      this.#crashAt = this.#dice.int(0, 12)
    },
    RESTORE: () => this.#restore(),
    CLONE: (machine) => this.#clone(machine),
    SILENCE: (machine) => {
      const awayMs = this.#dice.int(2_000, 60_000)
      machine.blockedUntilMs = this.timeline.nowMs + awayMs
      machine.process?.uplink?.close()
      if (this.#dice.odds(0.5))
        this.timeline.after(this.#dice.int(0, awayMs), () => {
          this.#store.writeOff(machine.instance, this.nowMs)
        })
    },
    CLOCK: ({ clock }) => {
      clock.skewMs += this.#dice.pick([-60_000, -6_000, -500, 300, 7_000, 90_000])
    },
    LIMITS: () => this.#changeLimit(),
    OVERRUN: () => undefined,
    LEAVING: () => undefined,
    RETRY: () => undefined,
    DRAIN: (machine) => this.#drain(machine),
  }

  #changeLimit(): void {
    const budget = this.#dice.pick(this.plan.budgets)
    const { limit } = this.#store.declared.get(budget.id)!
    if (this.#dice.odds(0.6)) this.#declare(budget, (limit * BigInt(this.#dice.int(20, 250))) / 100n)
    else {
      const subject = budget.subjects > 0 ? `sub_${this.#dice.int(1, budget.subjects)}` : ''
      const amount = this.#dice.amount(-limit / 2n, limit / 2n)
      const expiresAtMs = this.#dice.odds(0.3) ? this.nowMs + this.#dice.int(1_000, 30_000) : null
      this.#store.adjust(budget.id, subject, amount, this.nowMs, expiresAtMs)
    }
    this.#judge.changed(budget.id)
    this.#store.tendAll(this.nowMs)
    this.#recallOverdrawn()
    this.#neighbours.freed()
  }

  /** What was granted since the backup is known to nobody but the planes. */
  #restore(): void {
    if (!this.#backup) {
      this.#backup = this.#store.backup()
      this.timeline.after(this.#dice.waitMs(this.plan.stormMs / 4), () => this.#restore())
      return
    }
    const then = this.#backup
    for (const [key, row] of this.#store.leases) {
      const lost = row.granted - (then.leases.get(key)?.granted ?? 0n)
      if (lost > 0n) this.#truth.except({ budget: row.budget, subject: row.subject || null }, lost)
    }
    for (const control of this.#controls) control.end()
    this.#store.take(then)
    this.#backup = undefined
    this.#disturb()
  }

  /** The same folder on another machine: what it holds can be spent twice. */
  #clone(machine: Machine): void {
    if (machine.isCopy) return
    for (const { budget, subject, granted, returned, posted } of replay(machine.disk.entries).leases)
      this.#truth.except({ budget, subject }, granted - returned - posted)
    this.#isExact = false
    const copy = this.#addMachine(machine.instance, `${machine.name}'s copy`, machine.disk.copy(), true)
    copy.blockedUntilMs = this.timeline.nowMs + this.#dice.int(0, 30_000)
  }

  #drain(machine: Machine): void {
    const { process } = machine
    if (!process || process.isDraining) return
    process.drain()
    const deadlineMs = this.timeline.nowMs + 10_000
    const look = () => {
      if (machine.process !== process) return
      if (process.isDrained || this.timeline.nowMs > deadlineMs) {
        this.#stop(machine)
        this.timeline.after(this.#dice.waitMs(1_000), () => this.#start(machine))
      } else this.timeline.after(50, look)
    }
    look()
  }

  /** No faults from now on; everybody is there. */
  #calm(): void {
    this.#isStorm = false
    this.#crashAt = undefined
    Object.assign(this.#weather, fair)
    for (const machine of this.#machines) {
      machine.blockedUntilMs = 0
      if (!machine.process) this.#start(machine)
      else if (!machine.process.uplink) this.#connectLater(machine, machine.process)
    }
  }

  #rest(): void {
    if (!this.#isExact) return
    this.#judge.atRest(this.#lostIntents === 0)
  }
}

/** Everything that is said and done, for whoever looks into one seed. */
const traces = process.env.SLUICE_SIM_TRACE !== undefined
const asItIs = <Message>(message: Message) => message
const fair = { lost: 0, repeated: 0, late: 0 }
const harmless: ReadonlySet<Fault> = new Set<Fault>(['LEAVING', 'RETRY'])
const countersOf = ({ id, subjects }: PlannedBudget) =>
  subjects === 0
    ? [whose({ budget: id, subject: null })]
    : Array.from({ length: subjects }, (_, at) => whose({ budget: id, subject: `sub_${at + 1}` }))
const amountText = (amount: bigint) => (amount > 0n ? formatAmount(amount) : '0')

function told(message: Upward | Downward): string {
  return JSON.stringify(message, (key, value) => (key === 'mac' || key === 'tenant' ? undefined : value))
}
