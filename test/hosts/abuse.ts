/** What a bad client sends where GraphQL is answered, and what it is told. All hosts answer the same. */
export interface Abuse {
  name: string
  body: () => string
  headers?: Record<string, string>
  /** Status to those who take GraphQL answers, and code of the first error; null = it is answered. */
  told: [status: number, code: string | null]
}

const viewer = 'viewer { actor { name } }'
const many = (count: number, one: (index: number) => string, between = ' ') =>
  Array.from({ length: count }, (_, index) => one(index)).join(between)
const query = (text: () => string, variables?: () => object) => () =>
  JSON.stringify({ query: text(), ...(variables && { variables: variables() }) })

const answered: Abuse['told'] = [200, null]
const bad: Abuse['told'] = [400, 'BAD_DOCUMENT']
const unreadable: Abuse['told'] = [400, 'BAD_REQUEST']
const tooComplex: Abuse['told'] = [400, 'TOO_COMPLEX']
/** Found while running: the answer has data, which is null. */
const tooDear: Abuse['told'] = [200, 'TOO_COMPLEX']

const refs = (count: number) => many(count, () => '"team/x"', ',')
const chain = (length: number, end: string) =>
  `{ ...f0 } ${many(length, (at) => `fragment f${at} on Query { ...f${at + 1} }`)} fragment f${length} on Query { ${end} }`
const typeOf = (levels: number, end: string): string =>
  levels === 0 ? end : `ofType { name kind ${typeOf(levels - 1, end)} }`

const fragments: Abuse[] = [
  { name: 'a fragment that spreads itself', body: query(() => '{ ...a } fragment a on Query { ...a }'), told: bad },
  {
    name: 'fragments in a circle of a thousand',
    body: query(() => `{ ...f0 } ${many(1_000, (at) => `fragment f${at} on Query { ...f${(at + 1) % 1_000} }`)}`),
    told: bad,
  },
  {
    name: 'fragments that all spread each other',
    body: query(() => `{ ...f0 } ${many(60, (at) => `fragment f${at} on Query { ${many(60, (to) => `...f${to}`)} }`)}`),
    told: tooComplex,
  },
  { name: 'a chain of a thousand fragments', body: query(() => chain(1_000, viewer)), told: answered },
  {
    name: 'a chain of fragments with fields at each link',
    body: query(
      () =>
        `{ ...f0 } ${many(200, (at) => `fragment f${at} on Query { ${viewer} ...f${at + 1} }`)} fragment f200 on Query { ${viewer} }`,
    ),
    told: answered,
  },
  {
    name: 'a fragment spread seven hundred times',
    body: query(() => `{ ${many(700, () => '...f')} } fragment f on Query { __typename }`),
    told: answered,
  },
  {
    name: 'fragments that multiply',
    body: query(
      () =>
        `{ ...f0 } ${many(100, (i) => `fragment f${i} on Query { ...f${i + 1} ...f${i + 1} }`)} fragment f100 on Query { ${viewer} }`,
    ),
    told: tooComplex,
  },
  {
    name: 'fragments nobody uses',
    body: query(() => `{ ${viewer} } ${many(1_000, (at) => `fragment f${at} on Query { __typename }`)}`),
    told: bad,
  },
]

const floods: Abuse[] = [
  {
    name: 'a thousand aliases',
    body: query(() => `{ ${many(1_000, (at) => `a${at}: ${viewer}`)} }`),
    told: tooComplex,
  },
  {
    name: 'the same field seven hundred times',
    body: query(() => `{ ${many(700, () => 'viewer { __typename }')} }`),
    told: tooComplex,
  },
  {
    name: 'the same field with other arguments',
    body: query(() => `{ ${many(300, (at) => `node(id: "${at}") { id }`)} }`),
    told: bad,
  },
  {
    name: 'directives that do not exist',
    body: query(() => `{ viewer ${'@a'.repeat(3_000)} { __typename } }`),
    told: tooComplex,
  },
  {
    name: 'directives on an operation',
    body: query(() => `query ${'@a'.repeat(3_000)} { __typename }`),
    told: tooComplex,
  },
  {
    name: 'directives on a variable',
    body: query(() => `query ($a: Int ${'@a'.repeat(3_000)}) { __typename }`),
    told: tooComplex,
  },
  {
    name: 'directives on a fragment',
    body: query(() => `{ ...f } fragment f on Query ${'@a'.repeat(3_000)} { __typename }`),
    told: tooComplex,
  },
  {
    name: 'variables that nobody uses',
    body: query(() => `query (${many(1_500, (at) => `$a${at}: Int`)}) { __typename }`),
    told: bad,
  },
  {
    name: 'arguments that do not exist',
    body: query(() => `{ viewer(${many(2_000, (at) => `a${at}: 1`)}) { __typename } }`),
    told: bad,
  },
  { name: 'operations', body: query(() => many(1_000, (at) => `query q${at} { __typename }`)), told: tooComplex },
  {
    name: 'a list in a list',
    body: query(() => `{ nodes(ids: ${'['.repeat(500)}${']'.repeat(500)}) { id } }`),
    told: bad,
  },
  {
    name: 'a long list in the document',
    body: query(() => `{ nodes(ids: [${refs(5_000)}]) { id } }`),
    told: [200, 'BAD_DOCUMENT'],
  },
  {
    name: 'a long name, told again and again',
    body: query(() => `query ${'q'.repeat(60_000)} { ${many(200, (at) => `node(id: $v${at}) { id }`)} }`),
    told: bad,
  },
  { name: 'a megabyte of comment', body: query(() => `# ${'x'.repeat(1024 * 1024)}\n{ ${viewer} }`), told: tooComplex },
  {
    name: 'a megabyte of fields',
    body: query(() => `{ ${'viewer { __typename } '.repeat(50_000)} }`),
    told: tooComplex,
  },
  { name: 'braces', body: query(() => `{ ${'a {'.repeat(4_000)} b ${'}'.repeat(4_001)}`), told: tooComplex },
]

const introspection: Abuse[] = [
  {
    name: 'the whole schema thirty times',
    body: query(
      () =>
        `{ ${many(30, (at) => `a${at}: __schema { types { name fields { name args { name } type { name } } } }`)} }`,
    ),
    told: tooComplex,
  },
  {
    name: 'the whole schema five times',
    body: query(
      () => `{ ${many(5, (at) => `a${at}: __schema { types { name fields { name args { name } type { name } } } }`)} }`,
    ),
    told: answered,
  },
  {
    name: 'the schema in circles',
    body: query(
      () => '{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }',
    ),
    told: bad,
  },
  {
    name: 'the schema, wide and deep',
    body: query(
      () =>
        `{ __schema { types { fields { name type { ${typeOf(9, 'name')} } args { name type { ${typeOf(9, 'name')} } } } } } }`,
    ),
    told: answered,
  },
  {
    name: 'fields of types of fields',
    body: query(() => '{ __schema { types { fields { type { fields { name type { name } args { name } } } } } } }'),
    told: answered,
  },
]

const variables: Abuse[] = [
  {
    name: 'a hundred thousand references in variables',
    body: query(
      () => 'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }',
      () => ({ ids: Array(100_000).fill('team/x') }),
    ),
    told: tooDear,
  },
  {
    name: 'a megabyte of backslashes',
    body: query(
      () => 'query ($a: String) { tenant { resources(search: $a, first: 1) { nodes { id } } } }',
      () => ({ a: '\\'.repeat(1024 * 1024) }),
    ),
    told: [200, 'BAD_DOCUMENT'],
  },
  {
    name: 'a search that would be a slow pattern',
    body: query(
      () => 'query ($a: String) { tenant { resources(search: $a, first: 1) { nodes { id } } } }',
      () => ({ a: '(a+)+$%_'.repeat(20) }),
    ),
    told: answered,
  },
  {
    name: 'keys that mean something to JavaScript',
    body: () =>
      `{"query":"{ ${viewer} }","variables":{"__proto__":{"admin":true},"constructor":{"prototype":{}}},"__proto__":{"query":"x"}}`,
    told: unreadable,
  },
  {
    name: 'pages of more than a hundred',
    body: query(() => '{ tenant { teams(first: 2147483647) { nodes { id } } } }'),
    told: tooDear,
  },
  {
    name: 'a page of less than nothing',
    body: query(() => '{ tenant { teams(first: -1) { nodes { id } } } }'),
    told: [200, 'BAD_DOCUMENT'],
  },
  {
    name: 'numbers that are none',
    body: query(() => '{ tenant { teams(first: 1e400) { nodes { id } } } }'),
    told: bad,
  },
]

const encodings: Abuse[] = [
  { name: 'a batch', body: () => `[${many(50, () => `{"query":"{ ${viewer} }"}`, ',')}]`, told: unreadable },
  {
    name: 'a form',
    body: () => `query={${viewer}}`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    told: [415, 'UNSUPPORTED_MEDIA_TYPE'],
  },
  {
    name: 'another charset',
    body: () => `{"query":"{ ${viewer} }"}`,
    headers: { 'content-type': 'application/json; charset=utf-7' },
    told: [415, 'UNSUPPORTED_MEDIA_TYPE'],
  },
  {
    name: 'a foreign origin',
    body: () => `{"query":"{ ${viewer} }"}`,
    headers: { origin: 'https://evil.test' },
    told: [403, 'FOREIGN_ORIGIN'],
  },
  { name: 'JSON that breaks off', body: () => `{"query":"{ ${viewer} }`, told: unreadable },
]

export const abuses: Abuse[] = [...fragments, ...floods, ...introspection, ...variables, ...encodings]
/** What all are measured against. */
export const plain = JSON.stringify({ query: `{ ${viewer} }` })
