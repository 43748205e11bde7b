import type { Limiter } from '../../data-plane/limits/limiter.ts'
import type { RunningSet } from '../../data-plane/snapshot/running.ts'
import { RedisLimiter } from '../ports/limits-redis/limiter.ts'
import { ShareFiles } from '../ports/limits-shares/files.ts'
import { SharesLimiter } from '../ports/limits-shares/limiter.ts'
import type { LinkOptions } from '../ports/link-session.ts'
import type { StandaloneOptions } from './main.ts'

/** How this gateway counts rate limits: in a store that all of them share, or its own share in its memory. */
export interface GatewayLimits {
  limiter: Limiter
  /** Why requests with rate limits are refused now; null where they are not. */
  readonly trouble: string | null
  /** What the link says of it, and tells it. */
  linked: LinkOptions['shares']
  /** What is waited for before these snapshots can be served; undefined where nothing is. */
  missing(snapshots: RunningSet): string | undefined
  close(): void
}

export function openLimits({ dataDir, clock, log, limitStore }: StandaloneOptions): GatewayLimits {
  if (!limitStore) {
    const limiter = new SharesLimiter({ files: new ShareFiles(dataDir), clock })
    const isMissing = ({ tenants }: RunningSet) =>
      [...tenants.values()].some(({ snapshot }) => snapshot.hasLimits && !limiter.knows(snapshot.tenant.id))
    return {
      ...{ limiter, trouble: null, linked: limiter, close: () => limiter.stop() },
      missing: (snapshots) => (isMissing(snapshots) ? 'The shares of rate limits have not been dealt yet.' : undefined),
    }
  }
  const limiter = new RedisLimiter({ url: limitStore.url, ca: limitStore.ca ?? undefined, log })
  return {
    limiter,
    get trouble() {
      return limiter.trouble
    },
    ...{ linked: 'STORE' as const, missing: () => undefined, close: () => limiter.close() },
  }
}
