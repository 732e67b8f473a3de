import { type Problem, type ProblemCode, problemKinds } from '../../core/errors.ts'
import { type Counter, type Counters, createCounters } from './families.ts'

/** What of a refused request says who refused it. */
export interface Refused {
  readonly route: string | null
  readonly method: string | null
  /** False for what never became a request. */
  readonly isParsed: boolean
  /** Whether its body was read. */
  readonly hasBody: boolean
  readonly refusal: Problem | undefined
}

/** Which of the layers refuses with a code; the first where it does not depend on the request. A closed list, so the series are too. */
const layersOf: Readonly<Record<ProblemCode, readonly [string, ...string[]]>> = {
  validation_failed: ['validation'],
  bad_request: ['transport', 'validation'],
  unauthenticated: ['authentication'],
  forbidden: ['authorization', 'cors'],
  not_found: ['routes', 'api'],
  method_not_allowed: ['routes', 'transport'],
  not_acceptable: ['validation'],
  request_timeout: ['transport'],
  conflict: ['api'],
  precondition_failed: ['api'],
  payload_too_large: ['transport'],
  uri_too_long: ['transport'],
  unsupported_media_type: ['validation'],
  expectation_failed: ['transport'],
  misdirected_request: ['transport'],
  idempotency_mismatch: ['api'],
  precondition_required: ['api'],
  quota_exceeded: ['rate-limit', 'throttle', 'concurrency'],
  abnormal_usage_detected: ['monitor'],
  headers_too_large: ['transport'],
  internal: ['api'],
  temporary_reduced_capacity: ['overload'],
  store_unavailable: ['store'],
}

const codes = Object.keys(problemKinds) as ProblemCode[]

/** Whether what a limit is called belongs to another layer than the limits by rate. */
const limiting = ({ refusal }: Refused): string => {
  const violated = refusal?.options.members?.['violated-policies']
  const name: unknown = Array.isArray(violated) ? violated[0] : undefined
  return name === 'throttle' || name === 'concurrency' ? name : 'rate-limit'
}

const layerOf = (code: ProblemCode, refused: Refused): string => {
  const [usual] = layersOf[code]
  if (!refused.isParsed) return 'transport'
  if (code === 'quota_exceeded') return limiting(refused)
  if (code === 'bad_request' && refused.hasBody) return 'validation'
  if (code === 'not_found' && refused.route !== null) return 'api'
  if (code === 'forbidden' && refused.method === 'OPTIONS') return 'cors'
  return usual
}

export interface Refusals extends Counters {
  /** `verdict` as in the log: nothing is counted for `ok` and `aborted`. */
  readonly count: (verdict: string, refused: Refused) => void
}

/** Refusals by layer and code. All series are there from the start, so that a first refusal is seen as a growth. */
export const createRefusals = (): Refusals => {
  const family = createCounters({
    name: 'filmgate_refusals_total',
    help: 'Requests that were refused, by the layer that did and the code of its answer.',
  })
  const series = new Map<string, Map<string, Counter>>()
  for (const code of codes) {
    const layers = new Set([...layersOf[code], ...(unparsed.has(code) ? ['transport'] : [])])
    series.set(code, new Map([...layers].map((layer) => [layer, family.of({ layer, code })])))
  }
  return {
    ...family,
    count: (verdict, refused) => {
      const layers = series.get(verdict)
      if (layers === undefined) return
      const code = verdict as ProblemCode
      const layer = layerOf(code, refused)
      ;(layers.get(layer) ?? family.of({ layer, code })).value++
    },
  }
}

/** What is refused before there is a request. */
const unparsed: ReadonlySet<ProblemCode> = new Set(['bad_request', 'request_timeout', 'payload_too_large', 'headers_too_large'])
