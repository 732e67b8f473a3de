import { classify } from '../../src/layers/monitor/classify.ts'
import type { Tag } from '../../src/layers/monitor/rule.ts'
import type { EndedRequest } from '../../src/layers/monitor/signal.ts'

export const browser = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36'

/** What a request of a browser for a path that there is not looks like. */
export const asked = (target: string, more: Partial<EndedRequest> = {}): readonly Tag[] => [
  ...classify({
    epochMs: 0,
    requestId: 'r',
    method: 'GET',
    route: null,
    status: 404,
    durationMs: 1,
    verdict: 'not_found',
    userAgent: browser,
    client: { address: '192.0.2.1', prefix: '192.0.2.1' },
    principal: null,
    isForeign: false,
    target,
    params: {},
    body: undefined,
    ...more,
  }),
]
