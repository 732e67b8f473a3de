import { type BareItem, parseList } from './structured-fields.ts'

/** One window of a quota, as the last answer told of it. */
export interface QuotaWindow {
  readonly name: string
  readonly remaining: number
  /** Undefined where no policy of that name says. */
  readonly limit: number | undefined
  /** How long the window is. */
  readonly lengthSeconds: number | undefined
  /** For how long no more than `remaining` are left; undefined where the answer does not say. */
  readonly resetSeconds: number | undefined
}

/** A window as short as this is a pace: one waits for it, and no ring shows it. */
const longestPaceSeconds = 10

const count = (value: BareItem | undefined): number | undefined =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : undefined

/**
 * The windows of `RateLimit` with what `RateLimit-Policy` says of them (draft-ietf-httpapi-ratelimit-headers-11 sections 3 and 4), in the
 * order of the answer. A field that is missing or wrong tells of no window; so does an item without a name and a whole `r`.
 */
export const readQuota = (headers: Pick<Headers, 'get'>): readonly QuotaWindow[] => {
  const policies = new Map((parseList(headers.get('ratelimit-policy') ?? '') ?? []).map((item) => [item.value, item.parameters]))
  return (parseList(headers.get('ratelimit') ?? '') ?? []).flatMap(({ value, parameters }) => {
    const remaining = count(parameters.get('r'))
    if (typeof value !== 'string' || remaining === undefined) return []
    const policy = policies.get(value)
    return [
      {
        name: value,
        remaining,
        limit: count(policy?.get('q')),
        lengthSeconds: count(policy?.get('w')),
        resetSeconds: count(parameters.get('t')),
      },
    ]
  })
}

const isPace = ({ lengthSeconds = Infinity }: QuotaWindow): boolean => lengthSeconds <= longestPaceSeconds

/** The window that runs out first: of those that are no pace the one with the least left, of two such the one that lasts longer. */
export const tightest = (windows: readonly QuotaWindow[]): QuotaWindow | undefined => {
  const lasting = windows.filter((window) => !isPace(window))
  const candidates = lasting.length > 0 ? lasting : windows
  return candidates.toSorted((a, b) => a.remaining - b.remaining || (b.resetSeconds ?? 0) - (a.resetSeconds ?? 0))[0]
}

/** How long to wait before the next call is allowed, as far as the answer tells; 0 for not at all. */
export const secondsToWait = (windows: readonly QuotaWindow[]): number =>
  Math.max(0, ...windows.filter(({ remaining }) => remaining === 0).map(({ resetSeconds }) => resetSeconds ?? 0))
