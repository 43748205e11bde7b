import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatAmount } from '../../schema/money.ts'
import { Board, type Group, minuteMs, type Overview, type Tick } from './board.ts'

const dayFrom = Date.parse('2026-11-22T00:00:00Z')

const group = (project: string, key: string, model: string, cost: bigint, at?: number): Group => ({
  key: [
    { dimension: 'PROJECT', value: project, resource: project ? { name: `name of ${project}` } : null },
    { dimension: 'API_KEY', value: key, resource: null },
    { dimension: 'MODEL', value: model, resource: null },
  ],
  points: [
    {
      ...(at !== undefined && { at: new Date(at).toISOString() }),
      cost: { amount: formatAmount(cost) },
      requests: 1,
      refused: 0,
      failed: 0,
      tokens: 7,
    },
  ],
})

const overview = (groups: Group[], hour: Group[] = []): Overview => ({
  viewer: { actor: { name: 'key', onBehalfOf: null }, tenant: { name: 'acme', currency: 'USD' } },
  today: { currency: 'USD', settledThrough: '2026-11-22T10:00:00.000Z', cursor: 'c0', pending: [], groups },
  hour: { cursor: 'c0', groups: hour },
})

const tick = (cursor: string, groups: Group[]): Tick => ({ cursor, at: '2026-11-22T10:05:00.000Z', groups })

const sum = (rows: { cost: bigint }[]) => rows.reduce((total, { cost }) => total + cost, 0n)

describe('the board', () => {
  it('shows the same total in every table, exact to the last digit, whatever was counted', () => {
    const costs = fc.array(
      fc.tuple(
        fc.constantFrom('a', 'b', ''),
        fc.constantFrom('k', 'l'),
        fc.constantFrom('m', ''),
        fc.bigInt(0n, 10n ** 15n),
      ),
      { maxLength: 40 },
    )
    fc.assert(
      fc.property(costs, costs, (before, after) => {
        const board = new Board(overview(before.map(([p, k, m, cost]) => group(p, k, m, cost))), dayFrom)
        board.apply(
          tick(
            'c1',
            after.map(([p, k, m, cost]) => group(p, k, m, cost, dayFrom + 5 * minuteMs)),
          ),
        )
        const expected = [...before, ...after].reduce((total, [, , , cost]) => total + cost, 0n)
        expect(board.total.cost).toBe(expected)
        for (const dimension of ['PROJECT', 'API_KEY', 'MODEL'] as const)
          expect(sum(board.rows(dimension))).toBe(expected)
      }),
    )
  })

  it('adds amounts that floating point would round', () => {
    const board = new Board(overview([group('a', 'k', 'm', 100_000_000_000n)]), dayFrom)
    board.apply(tick('c1', [group('a', 'k', 'm', 200_000_000_000n, dayFrom)]))
    expect(formatAmount(board.total.cost)).toBe('0.3')
  })

  it('keeps a late record of yesterday out of today, but shows its minute', () => {
    const board = new Board(overview([]), dayFrom)
    const late = dayFrom - minuteMs
    board.apply(tick('c1', [group('a', 'k', 'm', 5n, late)]))
    expect(board.total.cost).toBe(0n)
    expect(board.minutes.get(late)?.cost).toBe(5n)
  })

  it('always draws sixty minutes, ending with the one that runs', () => {
    const now = dayFrom + 12 * 3_600_000 + 30_000
    const series = new Board(overview([], [group('a', 'k', 'm', 9n, now - minuteMs)]), dayFrom).series(now)
    expect(series).toHaveLength(60)
    expect(series.at(-1)?.at).toBe(now - 30_000)
    expect(series.at(-2)?.tally.cost).toBe(9n)
  })

  it('forgets minutes that can no longer be drawn', () => {
    const board = new Board(overview([]), dayFrom)
    for (let minute = 0; minute < 1_000; minute++)
      board.apply(tick('c', [group('a', 'k', 'm', 1n, dayFrom + minute * minuteMs)]))
    expect(board.minutes.size).toBeLessThanOrEqual(240)
    expect(board.total.cost).toBe(1_000n)
  })
})
