import type { Clock, Timers } from '../../../core/clock.ts'
import { signAccessToken } from '../../../credentials/access-token.ts'
import type { PublicJwk } from '../../../credentials/signing-key.ts'
import type { Database } from '../../../db/open.ts'
import type { AuditTrail } from '../../audit/trail.ts'
import { written } from '../../written.ts'
import type { TokenIssuer } from '../parts.ts'
import { createKeyRing, type KeyRing } from './signing-key-ring.ts'

export interface SigningKeysOptions {
  readonly database: Database
  readonly trail: AuditTrail
  readonly clock: Clock
  /** Left out: nothing is rotated by schedule. */
  readonly timers?: Timers
  /** The master key's label `sealing`. */
  readonly sealingKey: Buffer
  readonly issuer: string
  readonly audience: string
  /** How long a token lives. */
  readonly ttlMs: number
  /** How long a key signs. */
  readonly rotationMs?: number
  /** For people, without secrets. */
  readonly warn?: (message: string) => void
}

export interface Rotation {
  /** For the audit trail. */
  readonly actor: string
  /** The new key signs at once, before those who verify by the JWKS can know it; else in an hour. */
  readonly now: boolean
  /** Older keys are taken back at once, for one that may have leaked: tokens that they signed are refused. Means `now`. */
  readonly withdrawOld?: boolean
}

export interface SigningKeys {
  readonly issuer: TokenIssuer
  /** A key whose tokens may still be good; undefined for any other id. Rejects where the database would have to be asked and cannot be. */
  keyOf(kid: string): Promise<CryptoKey | undefined>
  /** What is published: keys that will sign soon, that do, and that did. */
  jwks(): Promise<{ readonly keys: readonly PublicJwk[] }>
  rotate(rotation: Rotation): Promise<{ readonly kid: string; readonly activeAt: number }>
  close(): void
}

const defaultRotationMs = 30 * 86_400_000
/** Those who verify our tokens keep the JWKS for a while: they know a key before it signs. */
const publishedBeforeMs = 3_600_000
const retryMs = 60_000
const maxAttempts = 20

/** The keys that sign access tokens, shared by all instances on one database; a first one is made where there is none that can be used. */
export const openSigningKeys = async (options: SigningKeysOptions): Promise<SigningKeys> => {
  const { database, clock, timers, ttlMs, rotationMs = defaultRotationMs } = options
  const ring = createKeyRing(options)
  await ring.refresh()
  const addKey = createAddition(options, ring)
  if (ring.signing() === undefined) await addKey({ actor: 'system', now: true }, () => ring.signing() !== undefined)
  if (ring.unusable().length > 0)
    options.warn?.(
      `signing keys that another master key sealed are not used (${ring.unusable().length}): access tokens that they signed are refused`,
    )
  // What fails here is tried again by whoever needs it.
  database.channel.subscribe('signing_keys_changed', () => void ring.refresh().catch(() => undefined))

  const schedule = createSchedule({
    timers,
    clock,
    // The next key is made so early that it signs when this one has done so for long enough.
    dueMs: () => (ring.latest()?.activeAt ?? 0) + rotationMs - publishedBeforeMs,
    rotate: (isDone) => addKey({ actor: 'system', now: false }, isDone),
  })

  return {
    issuer: {
      issue: async ({ subject, sessionId, epoch, authenticatedAt, notAfter, amr, role }) => {
        await ring.upToDate()
        const key = ring.signing()
        if (key === undefined) throw new Error('there is no key to sign access tokens with')
        const { issuer, audience } = options
        const facts = { iss: issuer, aud: audience, sub: subject, sid: sessionId, epoch, auth_time: toSeconds(authenticatedAt), amr, role }
        const nowMs = clock.epochMs()
        const lifeSeconds = Math.max(1, toSeconds(Math.min(ttlMs, notAfter - nowMs)))
        const token = await signAccessToken(facts, { ...key, now: toSeconds(nowMs), lifeSeconds })
        return { token, expiresInSeconds: lifeSeconds }
      },
    },
    keyOf: async (kid) => {
      await ring.upToDate()
      const known = ring.accepted().find((key) => key.kid === kid)
      if (known !== undefined) return known.publicKey
      await ring.refreshSometimes()
      return ring.accepted().find((key) => key.kid === kid)?.publicKey
    },
    jwks: async () => {
      // Who verifies by themselves is not to suffer because our database does.
      await ring.upToDate().catch(() => undefined)
      return { keys: ring.accepted().map(({ publicJwk }) => publicJwk) }
    },
    rotate: (rotation) => addKey(rotation),
    close: () => schedule.close(),
  }
}

const toSeconds = (ms: number): number => Math.floor(ms / 1000)

/** Adds the next key, audited and announced; of several instances that do it at once one does, and the others see that it is done. */
const createAddition =
  ({ database, trail, clock }: SigningKeysOptions, ring: KeyRing) =>
  async ({ actor, now, withdrawOld = false }: Rotation, isDone = (): boolean => false): Promise<{ kid: string; activeAt: number }> => {
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      await ring.refresh()
      if (isDone()) break
      const generation = ring.newest() + 1
      const at = clock.epochMs()
      const activeAt = now || withdrawOld ? at : at + publishedBeforeMs
      const { kid, statement } = await ring.table.addition(generation, at, activeAt)
      // Together with those that nobody needs any more.
      const oldest = withdrawOld ? generation : (ring.accepted()[0]?.generation ?? 0)
      const { announce } = database.channel
      const details = { generation, active_at: new Date(activeAt).toISOString(), withdrawn: withdrawOld }
      const outcome = await trail.commit(
        [
          statement,
          ring.table.removalBefore(oldest),
          ...announce('signing_keys_changed'),
          ...(withdrawOld ? announce('account_changed') : []),
        ],
        [{ actor, action: 'signing_key.create', target: kid, details }],
      )
      if (outcome.result === 'conflict' && outcome.statement === 0) continue
      written(outcome)
      await ring.refresh()
      return { kid, activeAt }
    }
    const latest = ring.latest()
    if (latest === undefined || !isDone()) throw new Error('the signing keys are changed all the time')
    return { kid: latest.kid, activeAt: latest.activeAt }
  }

interface ScheduleOptions {
  readonly timers: Timers | undefined
  readonly clock: Clock
  readonly dueMs: () => number
  readonly rotate: (isDone: () => boolean) => Promise<unknown>
}

/** Looks at the clock at least once an hour: other instances rotate too, and machines sleep. */
const createSchedule = ({ timers, clock, dueMs, rotate }: ScheduleOptions): { close(): void } => {
  let cancel: (() => void) | undefined
  let isClosed = false
  const isNotDue = (): boolean => clock.epochMs() < dueMs()
  const arm = (ms: number): void => {
    if (timers !== undefined && !isClosed) cancel = timers.after(Math.min(Math.max(ms, 0), publishedBeforeMs), look)
  }
  const look = (): void => {
    if (isNotDue()) return arm(dueMs() - clock.epochMs())
    rotate(isNotDue).then(
      () => arm(dueMs() - clock.epochMs()),
      // The store tells of its failure itself.
      () => arm(retryMs),
    )
  }
  arm(dueMs() - clock.epochMs())
  return {
    close: () => {
      isClosed = true
      cancel?.()
    },
  }
}
