/** What a browser makes of CORS fields: the algorithms of the Fetch standard (fetch.spec.whatwg.org) that the table of cases is held against. */

export interface PageRequest {
  readonly origin: string
  readonly method: string
  /** By name, in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** `credentials: "include"`. */
  readonly credentials: boolean
}

export interface Fields {
  readonly field: (name: string) => string | undefined
}

/** Section 2.2.1, CORS-safelisted method. */
const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST'])

const safeTypes: ReadonlySet<string> = new Set(['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain'])

/** Section 2.2.2, CORS-safelisted request-header, as far as the cases go. */
const isSafeHeader = (name: string, value: string): boolean => {
  if (value.length > 128) return false
  if (name === 'content-type') return safeTypes.has(value.split(';')[0]?.trim().toLowerCase() ?? '')
  return name === 'accept' || name === 'accept-language' || name === 'content-language'
}

/** CORS-unsafe request-header names, sorted. */
export const unsafeHeaders = ({ headers }: PageRequest): readonly string[] =>
  Object.keys(headers)
    .filter((name) => !isSafeHeader(name, headers[name] ?? ''))
    .toSorted()

/** Section 4.1 (main fetch), step "CORS-preflight fetch". */
export const needsPreflight = (request: PageRequest): boolean => !safeMethods.has(request.method) || unsafeHeaders(request).length > 0

/** Section 4.10, CORS check. */
export const passesCorsCheck = (answer: Fields, { origin, credentials }: PageRequest): boolean => {
  const allowed = answer.field('access-control-allow-origin')
  if (allowed === undefined) return false
  if (!credentials && allowed === '*') return true
  if (allowed !== origin) return false
  return !credentials || answer.field('access-control-allow-credentials') === 'true'
}

const listed = (value: string | undefined): readonly string[] =>
  (value ?? '').split(',').flatMap((one) => (one.trim() === '' ? [] : [one.trim()]))

/** Section 4.8, CORS-preflight fetch, from its step 7. */
export const passesPreflight = (answer: Fields & { readonly status: number }, request: PageRequest): boolean => {
  if (!passesCorsCheck(answer, request) || answer.status < 200 || answer.status > 299) return false
  const { method, credentials } = request
  const methods = listed(answer.field('access-control-allow-methods'))
  if (!methods.includes(method) && !safeMethods.has(method) && (credentials || !methods.includes('*'))) return false
  const names = new Set(listed(answer.field('access-control-allow-headers')).map((name) => name.toLowerCase()))
  const isCovered = (name: string): boolean => names.has(name) || (name !== 'authorization' && !credentials && names.has('*'))
  return unsafeHeaders(request).every(isCovered)
}
