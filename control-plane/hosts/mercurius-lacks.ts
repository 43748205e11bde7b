/** What Node 20 lacks of the language as Bun and Node 22 have it. The code below this host uses it freely; imported first. */
Promise.withResolvers ??= <T>() => {
  let resolve!: (value: T | PromiseLike<T>) => void
  let reject!: (reason?: unknown) => void
  const promise = new Promise<T>((fulfil, fail) => {
    resolve = fulfil
    reject = fail
  })
  return { promise, resolve, reject }
}

Map.groupBy ??= <K, T>(items: Iterable<T>, keyOf: (item: T, index: number) => K) => {
  const groups = new Map<K, T[]>()
  let index = 0
  for (const item of items) {
    const key = keyOf(item, index++)
    const group = groups.get(key)
    if (group) group.push(item)
    else groups.set(key, [item])
  }
  return groups
}

URL.parse ??= (url: string | URL, base?: string | URL) => (URL.canParse(url, base) ? new URL(url, base) : null)

type Other = ReadonlySetLike<unknown>

Set.prototype.difference ??= function (this: Set<unknown>, other: Other) {
  return new Set([...this].filter((item) => !other.has(item)))
}

Set.prototype.intersection ??= function (this: Set<unknown>, other: Other) {
  return new Set([...this].filter((item) => other.has(item)))
} as typeof Set.prototype.intersection

Set.prototype.isSubsetOf ??= function (this: Set<unknown>, other: Other) {
  return [...this].every((item) => other.has(item))
}
