/** Numbers in [0, 1) from a seed, so that what failed once fails again (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export type Random = () => number

const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random() * from.length)]!

/** What a careless or hostile writer puts where something else belongs, as JSON text. */
const nasty = [
  ...['null', 'true', 'false', '0', '-0', '-1', '1', '1.5', '1e9', '1e18', '1e400', '-1e308', '128', '[]', '{}', '""'],
  ...[
    '"x"',
    '"__proto__"',
    '"constructor"',
    '"toString"',
    '"\\ud800"',
    '"\\u0000"',
    '"a\\r\\nb"',
    '[null]',
    '[[]]',
    '[{}]',
    '[1,"a"]',
    '{"a":null}',
  ],
  ...['{"__proto__":{"x":1}}', '{"constructor":{"prototype":1}}', '{"toString":1}', '{"length":1}', '"data:,"'],
  ...['"data:image/png;base64,@@"', '{"type":"text"}', '{"type":null}', '[{"type":"text","text":1}]', '"{"', '"[1]"'],
]
const names = ['__proto__', 'constructor', 'toString', 'type', 'index', 'content', 'id', 'Model', 'max_tokens', 'text']

/** Deep copies by text keep `__proto__` members as members. */
type Node = { parent: unknown[] | Record<string, unknown>; key: string }

function nodesOf(value: unknown, into: Node[] = []): Node[] {
  if (typeof value !== 'object' || value === null || into.length > 5_000) return into
  for (const key of Object.keys(value)) {
    into.push({ parent: value as Record<string, unknown>, key })
    nodesOf((value as Record<string, unknown>)[key], into)
  }
  return into
}

const marker = '\u{e000}nasty\u{e000}'

/** The JSON text with one to three members dropped, doubled, renamed, moved or put in place of something else. */
export function mutateJson(text: string, random: Random): string {
  let changed = text
  for (let left = 1 + Math.floor(random() * 3); left > 0; left--) changed = mutateOnce(changed, random)
  return changed
}

function mutateOnce(text: string, random: Random): string {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return text
  }
  const nodes = nodesOf(value)
  if (nodes.length === 0) return pick(random, nasty)
  const { parent, key } = pick(random, nodes)
  const held = parent as Record<string, unknown>
  const act = random()
  if (act < 0.15) Array.isArray(parent) ? parent.splice(Number(key), 1) : delete held[key]
  else if (act < 0.2 && Array.isArray(parent)) parent.push(parent[Number(key)])
  else if (act < 0.27) held[key] = [held[key]]
  else if (act < 0.35 && !Array.isArray(parent)) {
    const name = pick(random, names)
    Object.defineProperty(held, name, { value: held[key], enumerable: true, configurable: true, writable: true })
    if (name !== key) delete held[key]
  } else if (act < 0.45) {
    const other = pick(random, nodes)
    held[key] = structuredClone((other.parent as Record<string, unknown>)[other.key])
  } else held[key] = marker
  return (JSON.stringify(value) ?? 'null').replace(JSON.stringify(marker), () => pick(random, nasty))
}

/** The bytes with a few of them flipped, dropped, doubled or cut off. */
export function mutateBytes(bytes: Uint8Array, random: Random): Uint8Array {
  let changed = Buffer.from(bytes)
  for (let left = 1 + Math.floor(random() * 4); left > 0 && changed.length > 0; left--) {
    const at = Math.floor(random() * changed.length)
    const act = random()
    if (act < 0.5) changed[at] = Math.floor(random() * 256)
    else if (act < 0.7) changed = Buffer.concat([changed.subarray(0, at), changed.subarray(at + 1 + random() * 40)])
    else if (act < 0.9) changed = Buffer.concat([changed.subarray(0, at), changed.subarray(Math.max(0, at - 60))])
    else changed = changed.subarray(0, at)
  }
  return changed
}

/** A list with one of its elements changed by `change`, or moved, dropped or doubled. */
export function mutateList<T>(list: readonly T[], random: Random, change: (one: T) => T): T[] {
  const changed = [...list]
  const at = Math.floor(random() * changed.length)
  const act = random()
  if (act < 0.6) changed[at] = change(changed[at]!)
  else if (act < 0.75) changed.splice(at, 1)
  else if (act < 0.9) changed.splice(Math.floor(random() * changed.length), 0, changed[at]!)
  else changed.push(...changed.splice(at, 1))
  return changed
}

/** The bytes in pieces, cut anywhere. */
export function cutAnywhere(bytes: Uint8Array, random: Random): Uint8Array[] {
  const places = Array.from({ length: Math.floor(random() * 6) }, () => Math.floor(random() * bytes.length))
  const all = [0, ...places, bytes.length].sort((a, b) => a - b)
  return all.slice(1).map((end, at) => bytes.subarray(all[at], end))
}
