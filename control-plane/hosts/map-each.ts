/** As `map` of an array. Not an async generator: `return` must reach the source even while its `next` is pending. */
export function mapEach<T, U>(source: AsyncIterable<T>, map: (value: T) => U | Promise<U>): AsyncIterableIterator<U> {
  const iterator = source[Symbol.asyncIterator]()
  return {
    [Symbol.asyncIterator]() {
      return this
    },
    async next() {
      const next = await iterator.next()
      return next.done ? { done: true, value: undefined } : { done: false, value: await map(next.value) }
    },
    async return(value) {
      await iterator.return?.(value)
      return { done: true, value }
    },
  }
}
