import type { Family } from './exposition.ts'
import { createHistograms, type Histogram, requestBounds } from './families.ts'

/** What the metrics look at of a request that has ended; null as in the log. */
export interface CountedRequest {
  readonly method: string | null
  /** A template of ours, never a path. */
  readonly route: string | null
  readonly status: number | null
  readonly durationMs: number
  /** `ok`, `aborted`, or the code that refused. */
  readonly verdict: string
}

export interface ServedRoute {
  readonly method: string
  readonly url: string
}

/** No template of a route looks like this: they begin with a slash. */
const none = '_none'
const other = '_OTHER'

/** The methods of RFC 9110 and PATCH (RFC 5789), which the semantic conventions of OpenTelemetry know; every other one is `_OTHER`. */
const knownMethods = ['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE'] as const

export interface RequestDurations extends Family {
  readonly count: (request: CountedRequest) => void
  /** From here on these are served: only their methods are told by name. */
  readonly serves: (routes: readonly ServedRoute[]) => void
}

type ByStatus = Map<number | null, Histogram>

interface RouteSeries {
  readonly byMethod: Map<string | null, ByStatus>
  readonly others: ByStatus
}

/**
 * Durations by method, route and status. A client chooses the method, and with it one of a route's refusals; so that nobody makes series out of
 * that, a method that a route does not have is `_OTHER` there, and the number of series is bounded by the table of routes times the statuses
 * that there are. Costs three look-ups by strings that are already hashed.
 */
export const createRequestDurations = (): RequestDurations => {
  const family = createHistograms({
    name: 'http_server_request_duration_seconds',
    help: 'Time from the request to the end of its answer, by method, template of the route, and status.',
    bounds: requestBounds,
  })
  const routes = new Map<string | null, RouteSeries>()

  const seriesOf = (route: string | null, methods: readonly string[]): RouteSeries => {
    const known = routes.get(route) ?? { byMethod: new Map<string | null, ByStatus>(), others: new Map() }
    for (const method of methods) if (!known.byMethod.has(method)) known.byMethod.set(method, new Map())
    routes.set(route, known)
    return known
  }
  seriesOf(null, knownMethods)

  /** The first of its kind. */
  const open = (method: string | null, { route, status }: CountedRequest, statuses: ByStatus): Histogram => {
    const histogram = family.of({ method: method ?? none, route: route ?? none, status: status === null ? none : String(status) })
    statuses.set(status, histogram)
    return histogram
  }

  return {
    ...family,
    count: (request) => {
      const { route, method, status, durationMs } = request
      const { byMethod, others } = routes.get(route) ?? seriesOf(route, [])
      const own = byMethod.get(method)
      const statuses = own ?? others
      const histogram = statuses.get(status) ?? open(own === undefined ? other : method, request, statuses)
      histogram.observe(durationMs / 1000)
    },
    serves: (served) => {
      for (const { method, url } of served) seriesOf(url, [method, 'OPTIONS'])
    },
  }
}
