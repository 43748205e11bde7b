import type { SnapshotRoute } from '../schema/snapshot.ts'

interface Circuit {
  failures: number[]
  /** Closed to requests until then; 0 = closed circuit, requests flow. */
  openUntilMs: number
  probing: boolean
}

/**
 * Circuit breakers of models and of credentials: after so many failures within a window one rests for a while; then one request
 * probes it. In memory, per process.
 */
export class Breakers {
  readonly #circuits = new Map<string, Circuit>()

  /** True while nothing failed that did not succeed since. */
  get isQuiet(): boolean {
    return this.#circuits.size === 0
  }

  /** May this one be tried now? A probe counts as tried: the next request waits for its outcome. */
  allows(key: string, nowMs: number): boolean {
    const circuit = this.#circuits.get(key)
    if (!circuit || circuit.openUntilMs === 0) return true
    return nowMs >= circuit.openUntilMs && !circuit.probing
  }

  /** Notes that it is being tried. */
  trying(key: string): void {
    const circuit = this.#circuits.get(key)
    if (circuit && circuit.openUntilMs !== 0) circuit.probing = true
  }

  /** It answered: its past is forgotten. */
  succeeded(key: string): void {
    this.#circuits.delete(key)
  }

  /** The attempt ended without saying anything about its health. */
  released(key: string): void {
    const circuit = this.#circuits.get(key)
    if (circuit) circuit.probing = false
  }

  failed(key: string, spec: SnapshotRoute['breaker'], nowMs: number): void {
    const circuit = this.#circuits.get(key) ?? { failures: [], openUntilMs: 0, probing: false }
    const wasProbe = circuit.probing
    circuit.probing = false
    circuit.failures = [...circuit.failures.filter((at) => at > nowMs - spec.windowMs), nowMs].slice(-spec.failures)
    if (wasProbe || circuit.failures.length >= spec.failures) circuit.openUntilMs = nowMs + spec.coolDownMs
    this.#circuits.set(key, circuit)
    if (this.#circuits.size > circuitsMax) this.#forgetOldest()
  }

  #forgetOldest(): void {
    const oldest = this.#circuits.keys().next().value
    if (oldest !== undefined) this.#circuits.delete(oldest)
  }
}

/** Far above any number of targets; wildcard models make keys of names that callers choose. */
const circuitsMax = 10_000
