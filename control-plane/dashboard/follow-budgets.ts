import { ask } from './ask.ts'
import { type BudgetEvent, type BudgetList, Budgets } from './budgets.ts'
import { documents } from './documents.ts'
import type { View } from './follow.ts'
import { live } from './live.ts'
import { socketClient, socketStream } from './live-socket.ts'

/** All is read again this often: a window ends without an event, and some proxies let no socket through. */
const readAgainMs = 15_000

/** Keeps the page's budgets: read now and then, and told by events in between. Ends with `signal`, or where it may not. */
export async function followBudgets(view: View, signal: AbortSignal, changed: () => void): Promise<void> {
  const read = async () => {
    const list = await ask<BudgetList>(documents.budgets, {}, signal)
    view.budgets = new Budgets(list)
    changed()
  }
  const readAgain = () => void read().catch(() => {})
  if (
    !(await read().then(
      () => true,
      () => false,
    ))
  )
    return
  const timer = setInterval(readAgain, readAgainMs)
  const socket = socketClient({ url: `${location.origin.replace(/^http/, 'ws')}/graphql`, token: null })
  try {
    const open = socketStream<BudgetEvent>(socket, documents.budgetEvents)
    for await (const event of live(open, { after: view.budgets?.cursor ?? null, signal })) {
      if (view.budgets?.take(event)) changed()
      else readAgain()
    }
  } catch {
    // Refused: this reader follows no events. What is read now and then stays.
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
  } finally {
    clearInterval(timer)
    await socket.dispose()
  }
}
