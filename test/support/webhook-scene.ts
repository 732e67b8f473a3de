import { createHmac } from 'node:crypto'

import { createEgress, type EgressOptions } from '../../src/core/egress.ts'
import type { Message } from '../../src/layers/monitor/alerts.ts'
import { Webhook, type WebhookOptions, type WebhookOutcome, type WebhookSettings } from '../../src/layers/monitor/webhook.ts'
import { createManualClock } from './manual-clock.ts'

const secret = `whsec_${Buffer.from('a key of thirty-two bytes, no more').toString('base64')}`
const key = Buffer.from('a key of thirty-two bytes, no more')

export const message = (n: number): Message => ({
  type: 'filmgate.alert',
  timestamp: new Date(0).toISOString(),
  text: `alert ${n}`,
  data: { n },
})

export const signatureOf = (headers: Readonly<Record<string, unknown>>, body: string): string =>
  `v1,${createHmac('sha256', key)
    .update(`${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`)
    .digest('base64')}`

/** A webhook whose back-off moves only with the test's clock; each outcome can be waited for. */
export const createScene = (url: string, options: Partial<WebhookOptions> & EgressOptions & { readonly allowPrivate?: boolean } = {}) => {
  const { resolve, ca, allowPrivate = true, ...rest } = options
  const clock = createManualClock(1_767_225_600_000)
  const outcomes: WebhookOutcome[] = []
  const notes: { readonly level: string; readonly text: string }[] = []
  const waiters = new Set<() => void>()
  let settings: WebhookSettings = { url, secret, allowPrivate }
  const egress = createEgress({ ...(resolve === undefined ? {} : { resolve }), ...(ca === undefined ? {} : { ca }) })
  const webhook = new Webhook({
    settings: () => settings,
    egress,
    clock,
    timers: clock,
    note: (level, text, members) => void notes.push({ level, text: `${text} ${JSON.stringify(members ?? {})}` }),
    onOutcome: (outcome) => {
      outcomes.push(outcome)
      for (const look of waiters) look()
    },
    random: () => 1,
    ...rest,
  })
  const outcome = (count: number): Promise<void> =>
    new Promise((done) => {
      const look = (): void => {
        if (outcomes.length < count) return
        waiters.delete(look)
        // When what follows from it has been done.
        setImmediate(done)
      }
      waiters.add(look)
      look()
    })
  return {
    clock,
    webhook,
    outcomes,
    notes,
    outcome,
    change: (next: Partial<WebhookSettings>) => void (settings = { ...settings, ...next }),
  }
}
