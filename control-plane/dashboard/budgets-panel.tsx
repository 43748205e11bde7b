import type { Action, Budgets, Counter } from './budgets.ts'
import { currencySign, roundMoney } from './format.ts'

const rowsShown = 12

/** A bar for each counter: what is spent, what gateways hold, what is left. */
export function BudgetsPanel({ budgets, currency }: { budgets: Budgets; currency: string }) {
  const counters = budgets.counters
  const more = counters.length - rowsShown
  return (
    <section class="panel budgets">
      <div class="heading">
        <h2>Budgets</h2>
        {counters.length > 0 && (
          <span class="legend">
            <i class="spent" /> spent <i class="leased" /> at gateways
          </span>
        )}
      </div>
      {budgets.isEmpty ? (
        <p class="empty">There is no budget: spending is unlimited.</p>
      ) : (
        <ul>
          {counters.slice(0, rowsShown).map((counter) => (
            <Row key={counter.key} counter={counter} currency={currency} />
          ))}
        </ul>
      )}
      {!budgets.isEmpty && counters.length === 0 && <p class="empty">Nothing was spent under a budget yet.</p>}
      {(more > 0 || budgets.hasMore) && (
        <p class="note">{more > 0 ? `${more} more` : 'more'}: bun sluice budget list</p>
      )}
    </section>
  )
}

const consequences: Record<Action, string> = {
  BLOCK: 'exhausted: requests are refused',
  DOWNGRADE: 'exhausted: a cheaper tier serves',
  CAP: 'exhausted: answers are cut short',
  WARN: 'exceeded: nothing is refused',
}

function Row({ counter, currency }: { counter: Counter; currency: string }) {
  const { budget, subject, percent, exhausted, action, until, whole, used, left } = counter
  const state = exhausted ? 'exhausted' : (percent ?? 100) >= 90 ? 'close' : ''
  const sign = currencySign(currency)
  return (
    <li class={state}>
      <span class="name">
        {budget}
        {subject && <span class="served"> · {subject}</span>}
      </span>
      <Bar counter={counter} />
      <span class="number share-of">
        {sign}
        {roundMoney(used)}{' '}
        <span class="served">
          of {sign}
          {roundMoney(whole)}
        </span>
      </span>
      <span class="number percent">{percentOf(counter)}</span>
      <span class="state">
        {exhausted ? consequences[action] : `${sign}${roundMoney(left)} left${until ? `, until ${dayOf(until)}` : ''}`}
      </span>
    </li>
  )
}

const percentOf = ({ percent, used }: Counter) =>
  percent === null ? '' : percent === 0 && used > 0n ? '< 1 %' : `${percent} %`

function Bar({ counter: { usedShare, leasedShare } }: { counter: Counter }) {
  const label = `${Math.round(usedShare / 10)} % spent, ${Math.round(leasedShare / 10)} % at gateways`
  return (
    <span class="bar" role="img" aria-label={label}>
      {usedShare > 0 && <span class="spent" style={{ width: `${usedShare / 10}%` }} />}
      <span class="leased" style={{ width: `${leasedShare / 10}%` }} />
    </span>
  )
}

const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' })
const dayOf = (at: string) => day.format(new Date(at)).replace(/, 00:00$/, '')
