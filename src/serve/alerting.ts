import type { Config } from '../config.ts'
import { type Clock, systemTimers } from '../core/clock.ts'
import { createEgress } from '../core/egress.ts'
import type { Observe } from '../core/events.ts'
import { type AlertMessage as Message, alertOf, Digest, type Log, Webhook, type WebhookOutcome } from '../layers/index.ts'

export interface AlertingOptions {
  readonly config: Config
  readonly clock: Clock
  readonly log: Log
  readonly onOutcome?: (outcome: WebhookOutcome) => void
}

export interface Alerting {
  /** Consumes a security event. */
  readonly event: Observe
  /** Takes over `[monitor]` of a configuration that was read again. */
  readonly replace: (config: Config) => void
  /** Tells what was gathered and what waits; takes `graceMs` at most. */
  close(): Promise<void>
}

/** A part of the time that a stop may take. */
const graceMs = 3000

/** Tells people of what should not wait until somebody reads the log. */
export const openAlerting = ({ config, clock, log, onOutcome = () => undefined }: AlertingOptions): Alerting => {
  let settings = settingsOf(config)
  let isClosed = false
  const shared = { clock, timers: systemTimers }
  const webhook = new Webhook({ ...shared, settings: () => settings, egress: createEgress(), note: log.note, onOutcome })
  const deliver = (message: Message): void => webhook.send(message)
  // Noise that an attacker makes leaves the rest its messages.
  const digests = {
    attack: new Digest({ ...shared, deliver }),
    operation: new Digest({ ...shared, deliver }),
  }
  return {
    event: (event) => {
      // What happens while the rest is closed must not begin to gather again: its timer would keep the process.
      if (settings.url === '' || isClosed) return
      const alert = alertOf(event, clock.epochMs())
      if (alert !== undefined) digests[alert.lane].add(alert)
    },
    replace: (next) => void (settings = settingsOf(next)),
    close: async () => {
      isClosed = true
      for (const digest of Object.values(digests)) digest.flush()
      await webhook.close(graceMs)
    },
  }
}

const settingsOf = ({ monitor }: Config) => ({
  url: monitor.webhookUrl,
  secret: monitor.webhookSecret,
  allowPrivate: monitor.webhookAllowPrivate,
})
