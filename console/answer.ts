import { type QuotaWindow, readQuota } from './rate-limit.ts'

/** A refusal as the page shows it: what RFC 9457 brings, or our own words where no answer came at all. */
export interface Trouble {
  readonly title: string
  readonly detail: string
  readonly requestId?: string
  readonly errors?: readonly FieldError[]
}

export interface FieldError {
  /** RFC 6901, from the root of the body. */
  readonly pointer: string
  readonly detail: string
}

/** An answer of the API to a call of the page, read to its end. */
export interface Answer {
  readonly status: number
  readonly json: unknown
  readonly quota: readonly QuotaWindow[]
  /** Seconds; undefined where there is no such field. */
  readonly retryAfter: number | undefined
  readonly trouble: Trouble | undefined
}

/** More than the server takes for anything. A browser alone would wait for minutes where a network swallows what is sent. */
const longestAnswerMs = 15_000

/** Nothing of this page is kept by the browser, and no cookie or password of another page goes along. For one call. */
export const fetchOptions = () =>
  ({ cache: 'no-store', credentials: 'omit', redirect: 'manual', signal: AbortSignal.timeout(longestAnswerMs) }) as const

/** Never throws: a server that cannot be reached is a trouble like any. */
const callApi = async (path: string, init: RequestInit = {}): Promise<Answer> => {
  try {
    const response = await fetch(path, { ...fetchOptions(), ...init })
    const json = parsed(await response.text())
    return {
      status: response.status,
      json,
      quota: readQuota(response.headers),
      retryAfter: retryAfterOf(response.headers),
      trouble: !response.ok ? troubleOf(response, json) : isObject(json) ? undefined : unreadable,
    }
  } catch {
    return { status: 0, json: undefined, quota: [], retryAfter: undefined, trouble: unreachable }
  }
}

/** Waits up to this are waited out: what a person pressed a moment too early is done a moment later. */
const longestPatienceSeconds = 3

/** The same, and once more where the server says that it was only a moment too early. Refused by a limit, nothing was done the first time. */
export const callPatiently = async (path: string, init: RequestInit = {}): Promise<Answer> => {
  const answer = await callApi(path, init)
  const { status, retryAfter = Infinity } = answer
  if (status !== 429 || retryAfter > longestPatienceSeconds) return answer
  await new Promise((resolve) => setTimeout(resolve, retryAfter * 1000))
  return callApi(path, init)
}

export const unreachable: Trouble = {
  title: 'The server cannot be reached',
  detail: 'It may be restarting, or the network is down. Try again in a moment.',
}

/** Every good answer that this page asks for is an object. A network that wants a sign-in answers 200 with a page of its own. */
const unreadable: Trouble = {
  title: 'The answer cannot be read',
  detail: 'It is not one of this server. Something between it and you, such as the sign-in page of a network, may have answered instead.',
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

const troubleOf = ({ status, statusText, headers }: Response, json: unknown): Trouble => {
  const problem = (isObject(json) ? json : {}) as Readonly<Record<string, unknown>>
  const requestId = text(problem['request_id']) ?? text(headers.get('x-request-id'))
  return {
    title: text(problem['title']) ?? `The server answered ${status} ${statusText}`.trim(),
    detail: text(problem['detail']) ?? 'The answer does not say why.',
    ...(requestId === undefined ? {} : { requestId }),
    ...(Array.isArray(problem['errors']) ? { errors: problem['errors'].filter(isFieldError) } : {}),
  }
}

const isFieldError = (value: unknown): value is FieldError => {
  const { pointer, detail } = (value ?? {}) as Partial<FieldError>
  return typeof pointer === 'string' && typeof detail === 'string'
}

/** Whole seconds (RFC 9110 section 10.2.3). The other form, a date, is not sent here, and clocks that differ would make it wrong. */
export const retryAfterOf = (headers: Pick<Headers, 'get'>): number | undefined => {
  const field = headers.get('retry-after') ?? ''
  return /^\d{1,9}$/.test(field) ? Number(field) : undefined
}
