import type { Clock, Timers } from '../../core/clock.ts'
import { Problem } from '../../core/errors.ts'
import type { Observe } from '../../core/events.ts'
import type { VerificationKey, VerificationKeys } from './verification-keys.ts'

export interface IssuerKeysOptions {
  /** For events. */
  readonly issuer: string
  readonly fetchKeys: (signal: AbortSignal) => Promise<VerificationKeys>
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly timers: Timers
  readonly observe: Observe
}

/** The keys of one issuer as it publishes them, fetched when they are needed. */
export interface IssuerKeys {
  /** Undefined: the issuer has no such key. Rejects with a `Problem` where that cannot be known now, because the issuer does not answer. */
  find(kid: string | undefined): Promise<VerificationKey | undefined>
}

/** As long a key that was withdrawn may still be taken, while the issuer answers. */
const freshMs = 10 * 60_000
/** As long keys do while it does not: an issuer that is down for a while ends nobody's work, one that is gone is not believed for ever. */
const usableMs = 60 * 60_000
/** From the beginning of one fetch to the next, whatever the reason: tokens with key ids that somebody invents cost the issuer nothing. */
const coolDownMs = 30_000
/** Of both documents together. */
const deadlineMs = 5000

export const createIssuerKeys = ({ issuer, fetchKeys, clock, timers, observe }: IssuerKeysOptions): IssuerKeys => {
  let known: { readonly keys: VerificationKeys; readonly atMs: number } | undefined
  let attemptMs = -Infinity
  let failing = false
  let pending: Promise<void> | undefined

  const ageMs = (): number => (known === undefined ? Infinity : clock.monotonicMs() - known.atMs)

  const attempt = async (): Promise<void> => {
    const atMs = clock.monotonicMs()
    attemptMs = atMs
    const deadline = new AbortController()
    const callOff = timers.after(deadlineMs, () => deadline.abort(new Error(`no answer within ${deadlineMs} ms`)))
    try {
      // As old as the question: what the issuer withdrew while it answered is not fresh.
      known = { keys: await fetchKeys(deadline.signal), atMs }
      if (failing) observe({ event: 'sys_store_recovered', store: `issuer ${issuer}` })
      failing = false
    } catch (error) {
      failing = true
      observe({ event: 'sys_store_failure', store: `issuer ${issuer}`, error: reasonOf(deadline.signal, error) })
    } finally {
      callOff()
    }
  }
  /** One fetch for all who ask meanwhile; none while it is too early. Never rejects. */
  const refresh = async (): Promise<void> => {
    if (pending === undefined && clock.monotonicMs() - attemptMs >= coolDownMs) {
      pending = attempt().finally(() => void (pending = undefined))
    }
    await pending
  }
  const unavailable = (): Problem => {
    const seconds = Math.ceil((attemptMs + coolDownMs - clock.monotonicMs()) / 1000)
    return new Problem('store_unavailable', { detail: unavailableDetail, retryAfterSeconds: Math.max(1, seconds) })
  }

  return {
    find: async (kid) => {
      const refreshed = ageMs() >= freshMs ? refresh() : undefined
      // While it does not answer, only who cannot go on without an answer waits for one.
      if (!failing || ageMs() >= usableMs) await refreshed
      const key = ageMs() < usableMs ? known?.keys.get(kid) : undefined
      if (key !== undefined) return key
      await refresh()
      if (failing || ageMs() >= usableMs) throw unavailable()
      return known?.keys.get(kid)
    },
  }
}

const unavailableDetail = 'The issuer of this token does not answer, so the token cannot be verified now. Send the request again later.'

const reasonOf = ({ aborted, reason }: AbortSignal, error: unknown): string => {
  const cause: unknown = aborted ? reason : error
  // Where every address of a host refused, the message is empty; where a certificate is of other hosts, it names them all.
  const message = cause instanceof Error ? cause.message || String((cause as { code?: unknown }).code) : String(cause)
  return message.slice(0, 200)
}
