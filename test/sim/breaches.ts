import { Lease } from '../../adapters/ports/ledger/lease.ts'
import { WaitingLine } from '../../adapters/ports/ledger/waiting-line.ts'
import { Book } from '../../control-plane/domain/ledger/book.ts'
import type { LeaseAnswer } from '../../schema/link-lease.ts'
import { formatAmount, parseAmount } from '../../schema/money.ts'
import type { Downward, Upward } from './messages.ts'
import type { Breach } from './world.ts'

/** A way to break the protocol, made anew for each schedule. `undo` puts back what it changed in the cores themselves. */
export interface NamedBreach {
  name: string
  make: () => Breach & { undo?: () => void }
}

type Amount = { granted: string }

/** Totals taken as if each message said how much more there is: one that arrives twice then counts twice. */
function asDeltas(): (message: Downward) => Downward {
  const heard = new Map<string, bigint>()
  const deltas = new WeakMap<object, bigint[]>()
  return (message) => {
    if (message.type !== 'leaseAnswer') return message
    const keyOf = ({ budget, subject, window, epoch }: LeaseAnswer['leases'][number]) =>
      JSON.stringify([budget, subject, window, epoch])
    const rises = message.leases.map((lease) => {
      const rise = parseAmount(lease.granted)! - (heard.get(keyOf(lease)) ?? 0n)
      return rise > 0n ? rise : 0n
    })
    const counted = deltas.get(message) ?? rises
    deltas.set(message, counted)
    const leases = message.leases.map((lease, at) => {
      const granted = (heard.get(keyOf(lease)) ?? 0n) + counted[at]!
      heard.set(keyOf(lease), granted)
      return { ...lease, granted: formatAmount(granted) } satisfies Amount & typeof lease
    })
    return { ...message, leases }
  }
}

/** What is given back counts again with each message that says so. */
function returnsTwice(): (message: Upward) => Upward {
  return (message) => {
    if (message.type !== 'leaseCall') return message
    const leases = message.leases.map((lease) => {
      const [granted, returned] = [parseAmount(lease.granted)!, parseAmount(lease.returned)!]
      const twice = 2n * returned
      return { ...lease, returned: formatAmount(twice > granted ? granted : twice) }
    })
    return { ...message, leases }
  }
}

/** Replaces a method or a getter of one of the cores, and puts it back. */
function patched<Core extends object>(core: { prototype: Core }, name: keyof Core & string, with_: PropertyDescriptor) {
  const before = Object.getOwnPropertyDescriptor(core.prototype, name)!
  Object.defineProperty(core.prototype, name, { ...with_, configurable: true })
  return () => Object.defineProperty(core.prototype, name, before)
}

export const breaches: NamedBreach[] = [
  { name: 'grants travel as deltas', make: () => ({ faults: ['LOSSY'], down: asDeltas() }) },
  { name: 'returns are counted twice', make: () => ({ up: returnsTwice() }) },
  {
    name: 'money is spent before its grant is in the journal',
    make: () => ({ faults: ['KILL'], plane: { spendsUnsaved: true } }),
  },
  {
    name: 'money is told as given back before that is durable',
    make: () => ({ faults: ['POWER', 'SILENCE'], disk: (disk) => disk.lie() }),
  },
  {
    name: 'epochs are not fenced',
    make: () => ({ faults: ['LOSSY', 'CUT'], store: (store) => store.forgetFencing() }),
  },
  { name: 'a crash forgets what was in flight', make: () => ({ faults: ['KILL'], plane: { forgetsIntents: true } }) },
  {
    name: 'records that come twice are added twice',
    make: () => ({ faults: ['LOSSY'], store: (store) => store.addTwice() }),
  },
  {
    name: 'a limit is exceeded by a hundredth',
    make: () => ({
      undo: patched(Book, 'available', {
        get(this: Book) {
          const { limit, adjustments, committed } = this.counter
          return limit + adjustments + limit / 100n - committed
        },
      }),
    }),
  },
  {
    name: 'a reservation holds nothing',
    make: () => ({ undo: patched(Lease, 'reserve', { value: () => undefined }) }),
  },
  {
    name: 'an older total replaces a larger one',
    make: () => {
      const learn = Lease.prototype.learn
      return {
        faults: ['LOSSY'],
        undo: patched(Lease, 'learn', {
          value(this: Lease, known: Parameters<typeof learn>[0]) {
            this.returned = parseAmount(known.returned)!
            return learn.call(this, known)
          },
        }),
      }
    },
  },
  {
    name: 'who waits is refused without being asked for',
    make: () => {
      const { join } = WaitingLine.prototype
      return {
        undo: patched(WaitingLine, 'join', {
          value(this: WaitingLine, ...[need, now, settle]: Parameters<typeof join>) {
            settle({ short: [] })
            return join.call(this, need, now, () => undefined)
          },
        }),
      }
    },
  },
]
