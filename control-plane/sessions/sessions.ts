import { createHash } from 'node:crypto'
import type { Clock } from '../../schema/clock.ts'
import { mintKey } from '../../schema/key-table.ts'
import type { Actor } from '../domain/actor.ts'
import type { Context } from '../domain/context.ts'

/** A browser that came in by a one-time link. */
export interface Session {
  actor: Actor
  expiresAtMs: number
}

export const sessionBounds = {
  ticketLifetimeMs: 15 * 60_000,
  sessionLifetimeMs: 12 * 3_600_000,
  ticketsMax: 100,
  sessionsMax: 1_000,
}

/**
 * Tickets and sessions of one control plane, in memory: a restart ends them all, and a new link is one command away. Both are
 * 240 random bits, kept only as SHA-256, so that a memory dump or a log of this table opens nothing.
 */
export class Sessions {
  readonly #tickets = new Map<string, Session>()
  readonly #sessions = new Map<string, Session>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A ticket for one sign-in. Beyond the bound the oldest ticket goes. */
  mint(actor: Actor, lifetimeMs = sessionBounds.ticketLifetimeMs): string {
    const ticket = mintKey('sls')
    keep(this.#tickets, hash(ticket), { actor, expiresAtMs: this.#clock.now() + lifetimeMs }, sessionBounds.ticketsMax)
    return ticket
  }

  /** Exchanges a ticket for a session's secret; undefined where it was used, has expired or never was. */
  redeem(ticket: string): { secret: string; session: Session } | undefined {
    const key = hash(ticket)
    const found = this.#live(this.#tickets, key)
    this.#tickets.delete(key)
    if (!found) return undefined
    const secret = mintKey('sls')
    const session = { actor: found.actor, expiresAtMs: this.#clock.now() + sessionBounds.sessionLifetimeMs }
    keep(this.#sessions, hash(secret), session, sessionBounds.sessionsMax)
    return { secret, session }
  }

  find(secret: string): Session | undefined {
    return this.#live(this.#sessions, hash(secret))
  }

  end(secret: string): void {
    this.#sessions.delete(hash(secret))
  }

  #live(table: Map<string, Session>, key: string): Session | undefined {
    const found = table.get(key)
    if (!found || found.expiresAtMs > this.#clock.now()) return found
    table.delete(key)
    return undefined
  }
}

function keep(table: Map<string, Session>, key: string, session: Session, most: number): void {
  table.set(key, session)
  const oldest = table.keys().next().value
  if (table.size > most && oldest !== undefined) table.delete(oldest)
}

function hash(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

const ofContext = new WeakMap<Context, Sessions>()

/** The sessions of a running control plane. */
export function sessionsOf(ctx: Context): Sessions {
  const known = ofContext.get(ctx)
  if (known) return known
  const made = new Sessions(ctx.clock)
  ofContext.set(ctx, made)
  return made
}

/** The secret part of a one-time link, `/?ticket=…`: whoever opens it first is signed in as that actor. */
export function mintTicket(ctx: Context, actor: Actor, lifetimeMs?: number): string {
  return sessionsOf(ctx).mint(actor, lifetimeMs)
}
