import { render } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { parseAmount } from '../../schema/money.ts'
import type { Board, Dimension } from './board.ts'
import { BudgetsPanel } from './budgets-panel.tsx'
import { SpendChart } from './chart.tsx'
import { follow, type Status, type View } from './follow.ts'
import { currencySign, formatCount, formatMoney, formatMs, formatTime, splitAmount } from './format.ts'
import { type FlightRecord, type Tail, tokensOf } from './tail.ts'

const pauseAfterHiddenMs = 60_000

/** The view, followed while the page can be seen; drawn again at most once per frame and once a second. */
function useView(): { view: View; version: number } {
  const view = useRef<View>({ status: 'loading' }).current
  const [version, setVersion] = useState(0)
  useEffect(() => {
    let drawing = false
    let running: AbortController | undefined
    const changed = () => {
      if (drawing) return
      drawing = true
      requestAnimationFrame(() => {
        drawing = false
        setVersion((before) => before + 1)
      })
    }
    const start = () => {
      if (running && !running.signal.aborted) return
      running = new AbortController()
      void follow(view, running.signal, changed)
    }
    let hiding: ReturnType<typeof setTimeout>
    const visibility = () => {
      clearTimeout(hiding)
      if (!document.hidden) return start()
      hiding = setTimeout(() => {
        running?.abort()
        view.status = 'paused'
      }, pauseAfterHiddenMs)
    }
    document.addEventListener('visibilitychange', visibility)
    const second = setInterval(changed, 1_000)
    start()
    return () => {
      document.removeEventListener('visibilitychange', visibility)
      clearInterval(second)
      running?.abort()
    }
  }, [view])
  return { view, version }
}

function Page() {
  const { view, version } = useView()
  if (view.status === 'signed-out') return <SignedOut />
  const { overview, board, tail, budgets } = view
  if (!overview || !board || !tail)
    return (
      <main class="message">
        {view.status === 'loading' ? 'Loading…' : 'The control plane does not answer. Trying again…'}
      </main>
    )
  const { currency } = overview.today
  document.title = `${currencySign(currency)}${formatMoney(board.total.cost)} today · Sluice`
  return (
    <>
      <Header tenant={overview.viewer.tenant.name} status={view.status} board={board} />
      <main>
        <section class="today panel">
          <Total board={board} currency={currency} />
          <SpendChart board={board} version={version} />
        </section>
        {budgets && <BudgetsPanel budgets={budgets} currency={currency} />}
        <Groups board={board} currency={currency} />
        <Latest tail={tail} />
      </main>
      <footer>
        <a href="/graphql">GraphiQL</a>
        {overview.today.pending.length > 0 && (
          <span>not waited for: {overview.today.pending.map(({ name }) => name).join(', ')}</span>
        )}
        <span class="who">signed in as {overview.viewer.actor.onBehalfOf?.name ?? overview.viewer.actor.name}</span>
      </footer>
    </>
  )
}

const sayings: Record<Status, string> = {
  loading: 'loading',
  live: 'live',
  reconnecting: 'reconnecting',
  paused: 'paused',
  'signed-out': 'signed out',
}

function Header({ tenant, status, board }: { tenant: string; status: Status; board: Board }) {
  return (
    <header>
      <h1>
        <Mark /> Sluice
      </h1>
      <span class="tenant">{tenant}</span>
      <span class="settled">settled through {formatTime(board.settledThrough)}</span>
      <span class={`status ${status}`} role="status">
        {sayings[status]}
      </span>
    </header>
  )
}

const Mark = () => (
  <svg viewBox="0 0 16 16" width="20" height="20" aria-hidden="true">
    <rect width="16" height="16" rx="4" fill="var(--accent)" />
    <path
      d="M3 5.5c2 0 2 1.5 5 1.5s3-1.5 5-1.5M3 9.5c2 0 2 1.5 5 1.5s3-1.5 5-1.5"
      stroke="var(--ground)"
      stroke-width="1.5"
      fill="none"
      stroke-linecap="round"
    />
  </svg>
)

function Total({ board, currency }: { board: Board; currency: string }) {
  const { cost, requests, refused, failed, tokens } = board.total
  const { whole, fine } = splitAmount(cost)
  return (
    <div class="total">
      <h2>Spent today</h2>
      <p class="amount">
        <span class="sign">{currencySign(currency)}</span>
        {whole}
        <span class="fine">{fine}</span>
      </p>
      <dl>
        <Figure name="requests" value={formatCount(requests)} />
        <Figure name="tokens" value={formatCount(tokens)} />
        <Figure name="refused" value={formatCount(refused)} alert={refused > 0} />
        <Figure name="failed" value={formatCount(failed)} alert={failed > 0} />
      </dl>
    </div>
  )
}

const Figure = ({ name, value, alert }: { name: string; value: string; alert?: boolean }) => (
  <div class={alert ? 'figure alert' : 'figure'}>
    <dt>{name}</dt>
    <dd>{value}</dd>
  </div>
)

const tables: [Dimension, string][] = [
  ['PROJECT', 'Project'],
  ['API_KEY', 'Key'],
  ['MODEL', 'Model'],
]
const rowsShown = 12

function Groups({ board, currency }: { board: Board; currency: string }) {
  const [dimension, setDimension] = useState<Dimension>('PROJECT')
  const rows = board.rows(dimension)
  const highest = rows[0]?.cost ?? 0n
  const sign = currencySign(currency)
  return (
    <section class="panel">
      <div class="heading">
        <h2>Today by</h2>
        <fieldset class="choice" aria-label="Group by">
          {tables.map(([value, name]) => (
            <button type="button" aria-pressed={value === dimension} onClick={() => setDimension(value)}>
              {name}
            </button>
          ))}
        </fieldset>
      </div>
      <table>
        <thead>
          <tr>
            <th scope="col">{tables.find(([value]) => value === dimension)![1]}</th>
            <th scope="col" class="share" />
            <th scope="col" class="number wide">
              Requests
            </th>
            <th scope="col" class="number wide">
              Tokens
            </th>
            <th scope="col" class="number">
              Cost
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, rowsShown).map((row) => (
            <tr key={row.value}>
              <td class="name">{row.name}</td>
              <td class="share">
                <meter min={0} max={1000} value={highest > 0n ? Number((row.cost * 1000n) / highest) : 0} />
              </td>
              <td class="number wide">{formatCount(row.requests)}</td>
              <td class="number wide">{formatCount(row.tokens)}</td>
              <td class="number">
                {sign}
                {formatMoney(row.cost)}
              </td>
            </tr>
          ))}
        </tbody>
        {rows.length > 0 && (
          <tfoot>
            <tr>
              <td class="name">{rows.length > rowsShown ? `Total, with ${rows.length - rowsShown} more` : 'Total'}</td>
              <td class="share" />
              <td class="number wide">{formatCount(board.total.requests)}</td>
              <td class="number wide">{formatCount(board.total.tokens)}</td>
              <td class="number">
                {sign}
                {formatMoney(board.total.cost)}
              </td>
            </tr>
          </tfoot>
        )}
      </table>
      {rows.length === 0 && (
        <p class="empty">Nothing was asked today. The first request appears here as it finishes.</p>
      )}
    </section>
  )
}

function Latest({ tail }: { tail: Tail }) {
  return (
    <section class="panel">
      <div class="heading">
        <h2>Latest requests</h2>
        {tail.skipped > 0 && <span class="note">{formatCount(tail.skipped)} more not shown</span>}
      </div>
      <table class="latest">
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col">Model</th>
            <th scope="col" class="wide">
              Project
            </th>
            <th scope="col" class="number wide">
              Took
            </th>
            <th scope="col" class="number wide">
              Tokens
            </th>
            <th scope="col" class="number">
              Cost
            </th>
            <th scope="col">Outcome</th>
          </tr>
        </thead>
        <tbody>
          {tail.records.map((record) => (
            <Request key={record.id} record={record} />
          ))}
        </tbody>
      </table>
      {tail.records.length === 0 && <p class="empty">No requests yet.</p>}
    </section>
  )
}

function Request({ record }: { record: FlightRecord }) {
  const { alias, model, outcome, refusal } = record
  return (
    <tr title={record.id}>
      <td class="time">{formatTime(record.at)}</td>
      <td class="name">
        {alias}
        {model && model.name !== alias && <span class="served"> → {model.name}</span>}
      </td>
      <td class="wide">{record.project?.name ?? ''}</td>
      <td class="number wide">{formatMs(record.timing.totalMs)}</td>
      <td class="number wide">{formatCount(tokensOf(record))}</td>
      <td class="number">
        {currencySign(record.cost.currency)}
        {formatMoney(parseAmount(record.cost.amount) ?? 0n)}
      </td>
      <td>
        <span class={`outcome ${outcome.toLowerCase()}`}>{refusal?.replaceAll('_', ' ') ?? outcome.toLowerCase()}</span>
      </td>
    </tr>
  )
}

function SignedOut() {
  const used = new URLSearchParams(location.search).get('link') === 'used'
  return (
    <main class="message">
      <h1>
        <Mark /> Sluice
      </h1>
      <p>{used ? 'That link was used already or has expired.' : 'This page opens with a one-time link.'}</p>
      <p>Get one where the control plane runs:</p>
      <pre>bun sluice dashboard</pre>
      <p class="note">
        <code>bun start</code> prints one, too. A link works once; the page then stays signed in for twelve hours.
      </p>
    </main>
  )
}

render(<Page />, document.getElementById('page')!)
