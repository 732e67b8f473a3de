import { randomBytes } from 'node:crypto'

import type { Clock, Timers } from '../../core/clock.ts'
import type { Egress, Posted } from '../../core/egress.ts'
import type { Message } from './alerts.ts'
import { signedFields } from './webhook-signature.ts'

/** Where messages go now. */
export interface WebhookSettings {
  /** Empty: nowhere. */
  readonly url: string
  readonly secret: string
  /** It may be in a private network, or on this machine without TLS. */
  readonly allowPrivate: boolean
}

/** What became of a try. `lost` is a message that will not be tried again. */
export type WebhookOutcome = 'delivered' | 'failed' | 'lost'

export interface WebhookOptions {
  /** Read at each try: what waits goes where a reload says. */
  readonly settings: () => WebhookSettings
  readonly egress: Pick<Egress, 'post'>
  readonly clock: Clock
  readonly timers: Timers
  /** For the log: what fails is never told through what fails. */
  readonly note: (level: 'info' | 'warn' | 'error', message: string, members?: Readonly<Record<string, string | number>>) => void
  readonly onOutcome?: (outcome: WebhookOutcome) => void
  /** From 0 to 1; default Math.random. */
  readonly random?: () => number
  /** Of one try; default 5 s. */
  readonly timeoutMs?: number
}

interface Pending {
  readonly id: string
  readonly body: Buffer
  failures: number
  /** Monotonic. */
  dueMs: number
}

const maxWaiting = 100
/** Over one to two and a half hours. */
const maxTries = 12
const firstDelayMs = 5000
const maxDelayMs = 3_600_000

/**
 * Tells people through a URL of theirs. One message is under way at a time; one that fails waits by itself and lets others go before it. All
 * of it lives in memory and is bounded: messages by their number and size, tries by their number and time, the answer by its first bytes.
 */
export class Webhook {
  readonly #options: WebhookOptions
  readonly #graceOver = new AbortController()
  #waiting: Pending[] = []
  #underWay: { readonly pending: Pending; readonly ended: Promise<void> } | undefined
  #callOff: (() => void) | undefined
  #isFailing = false
  #isClosing = false

  constructor(options: WebhookOptions) {
    this.#options = options
  }

  get waiting(): number {
    return this.#waiting.length
  }

  send(message: Message): void {
    const { settings, clock } = this.#options
    if (settings().url === '' || this.#isClosing) return
    // The oldest have been tried most; what is new says what is so now.
    const oldest = this.#waiting.find((one) => one !== this.#underWay?.pending)
    if (oldest !== undefined && this.#waiting.length >= maxWaiting) this.#lose(oldest, 'too many wait')
    const body = Buffer.from(JSON.stringify(message))
    this.#waiting.push({ id: `msg_${randomBytes(18).toString('base64url')}`, body, failures: 0, dueMs: clock.monotonicMs() })
    this.#pump()
  }

  /** One last try for what waits, `graceMs` at most for all of it. */
  async close(graceMs: number): Promise<void> {
    const { settings, timers } = this.#options
    this.#isClosing = true
    this.#callOff?.()
    const endGrace = timers.after(graceMs, () => this.#graceOver.abort())
    const left = settings().url === '' ? [] : this.#waiting.filter((one) => one !== this.#underWay?.pending)
    await this.#underWay?.ended
    for (const pending of left) if (!this.#graceOver.signal.aborted) await this.#attempt(pending)
    endGrace()
    for (const pending of this.#waiting) this.#lose(pending, 'the server stops')
  }

  #pump(): void {
    const { settings, clock, timers } = this.#options
    this.#callOff?.()
    this.#callOff = undefined
    if (this.#underWay !== undefined || this.#isClosing) return
    if (settings().url === '') this.#waiting = []
    const [next] = this.#waiting.toSorted((a, b) => a.dueMs - b.dueMs)
    if (next === undefined) return
    const waitMs = next.dueMs - clock.monotonicMs()
    if (waitMs > 0) {
      this.#callOff = timers.after(waitMs, () => this.#pump())
      return
    }
    const ended = this.#attempt(next).finally(() => {
      this.#underWay = undefined
      this.#pump()
    })
    this.#underWay = { pending: next, ended }
  }

  async #attempt(pending: Pending): Promise<void> {
    const result = await tryOnce(pending, this.#options, this.#graceOver.signal)
    if (result.kind === 'delivered') this.#delivered(pending)
    else this.#failed(pending, result)
  }

  #delivered(pending: Pending): void {
    const { note, onOutcome } = this.#options
    this.#forget(pending)
    onOutcome?.('delivered')
    if (this.#isFailing) note('info', 'monitor.webhook_url takes alerts again')
    this.#isFailing = false
  }

  #failed(pending: Pending, result: Failure): void {
    const { clock, note, onOutcome, random = Math.random } = this.#options
    pending.failures++
    onOutcome?.('failed')
    if (result.kind === 'refused' || pending.failures >= maxTries) {
      this.#lose(pending, result.error)
      return
    }
    if (!this.#isFailing) note('warn', 'monitor.webhook_url does not take alerts; they wait', { error: result.error })
    this.#isFailing = true
    pending.dueMs = clock.monotonicMs() + delayMs(pending.failures, result.retryAfterSeconds, random())
  }

  #lose(pending: Pending, error: string): void {
    const { note, onOutcome } = this.#options
    this.#forget(pending)
    onOutcome?.('lost')
    const members = { webhook_id: pending.id, tries: pending.failures, error }
    note('error', 'an alert could not be delivered to monitor.webhook_url', members)
  }

  #forget(pending: Pending): void {
    this.#waiting = this.#waiting.filter((one) => one !== pending)
  }
}

type Result = { readonly kind: 'delivered' } | Failure

type Failure =
  /** Another try may do better. */
  | { readonly kind: 'failed'; readonly error: string; readonly retryAfterSeconds?: number | undefined }
  /** None will. */
  | { readonly kind: 'refused'; readonly error: string }

const tryOnce = async (
  { id, body }: Pending,
  { settings, egress, clock, timeoutMs = 5000 }: WebhookOptions,
  graceOver: AbortSignal,
): Promise<Result> => {
  const { url, secret, allowPrivate } = settings()
  const headers = signedFields({ id, epochSeconds: Math.floor(clock.epochMs() / 1000), body }, secret)
  const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), graceOver])
  try {
    return resultOf(await egress.post(url, { headers, body, allowPrivate, signal }))
  } catch (error) {
    const reason = signal.aborted ? 'no answer in time' : error instanceof Error ? error.message : 'it fails'
    return { kind: 'failed', error: reason }
  }
}

/** 408, 425 and 429 say: not now (RFC 9110 section 15.5.9, RFC 8470 section 5.2, RFC 6585 section 4). */
const notNow = new Set([408, 425, 429])

const resultOf = ({ status, retryAfterSeconds }: Posted): Result => {
  if (status >= 200 && status < 300) return { kind: 'delivered' }
  const error = `the answer has status ${status}`
  if (status >= 500 || notNow.has(status)) return { kind: 'failed', error, retryAfterSeconds }
  // A redirect would choose the address itself; a receiver that refuses a message refuses it again.
  return { kind: 'refused', error }
}

/** Exponential back-off with full jitter: who came back all at once would keep a receiver down. */
const delayMs = (failures: number, retryAfterSeconds: number | undefined, random: number): number => {
  const mostMs = Math.min(maxDelayMs, firstDelayMs * 2 ** (failures - 1))
  return Math.max(1000, random * mostMs, Math.min(maxDelayMs, (retryAfterSeconds ?? 0) * 1000))
}
