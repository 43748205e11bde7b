/**
 * The documents of the page. A browser session may send these and no others, so a stolen cookie asks no more than the page
 * itself does. The server compares whole texts.
 */
export const documents = {
  whoami: 'query Whoami { viewer { actor { name } } }',
  overview: /* GraphQL */ `
query Overview($today: TimeRange!, $hour: TimeRange!) {
  viewer { actor { name onBehalfOf { name } } tenant { name currency } }
  today: spend(window: $today, interval: TOTAL, groupBy: [PROJECT, API_KEY, MODEL], top: 1000) {
    currency settledThrough cursor
    total { amount }
    pending { name }
    groups {
      key { dimension value resource { name } }
      points { cost { amount } requests refused failed tokens }
    }
  }
  hour: spend(window: $hour, interval: MINUTE) {
    cursor
    groups { points { at cost { amount } requests refused failed tokens } }
  }
}`,
  settled: /* GraphQL */ `
query Settled($window: TimeRange!) {
  spend(window: $window, interval: TOTAL) { settledThrough }
}`,
  ticks: /* GraphQL */ `
subscription Ticks($after: Cursor) {
  spendTicks(interval: MINUTE, groupBy: [PROJECT, API_KEY, MODEL], after: $after) {
    cursor at
    groups {
      key { dimension value resource { name } }
      points { at cost { amount } requests refused failed tokens }
    }
  }
}`,
  budgets: /* GraphQL */ `
query Budgets {
  tenant {
    budgets(first: 20) {
      nodes {
        id name period onExhausted
        balances(first: 12) {
          nodes {
            subject resource { name } window { to }
            limit { amount } adjustments { amount } overruns { amount } released { amount }
            leased { amount } spent { amount } available { amount } asOf
          }
          pageInfo { hasNextPage }
        }
      }
      pageInfo { hasNextPage }
    }
  }
}`,
  budgetEvents: /* GraphQL */ `
subscription BudgetEvents($after: Cursor) {
  events(kinds: [BUDGET_CHANGED, CONFIG_CHANGED, STREAM_RESET], after: $after) {
    __typename cursor
    ... on BudgetChanged {
      budget { id }
      balance {
        subject resource { name } window { to }
        limit { amount } adjustments { amount } overruns { amount } released { amount }
        leased { amount } spent { amount } available { amount } asOf
      }
    }
  }
}`,
  latest: /* GraphQL */ `
query Latest {
  flightRecords(first: 20) {
    nodes {
      id at cursor alias streamed outcome refusal
      model { name } project { name }
      meters { meter quantity }
      cost { amount currency }
      timing { totalMs }
    }
  }
}`,
  tail: /* GraphQL */ `
subscription Tail($after: Cursor) {
  flightTail(after: $after) {
    cursor skipped
    records {
      id at cursor alias streamed outcome refusal
      model { name } project { name }
      meters { meter quantity }
      cost { amount currency }
      timing { totalMs }
    }
  }
}`,
} as const
