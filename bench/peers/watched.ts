/** What the two peers share whose access log and monitor are measured. */
import { openSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import * as layers from '../../src/layers/index.ts'
import { allRules } from '../../src/serve/rules.ts'

const clock = layers.systemClock
const isTrusted = (): boolean => false

const outcome: layers.AccessLogOptions['outcome'] = ({ client, raw }) => ({
  client: client.address,
  principal: null,
  verdict: 'ok',
  error: null,
  bytesIn: Number(raw.headers['content-length'] ?? 0),
})

/** With `monitor`, it hears of each request, as in Filmgate. */
export async function registerLog(app: FastifyInstance, logFile: string, monitor?: layers.Monitor): Promise<void> {
  const log = layers.createLog({ sink: layers.openLogSink(openSync(logFile, 'a')), clock, level: 'info', format: 'json' })
  if (monitor === undefined) await app.register(layers.clientAddress, { addresses: layers.createClientAddresses({ trustedProxies: [] }) })
  const write: layers.AccessLogOptions['write'] = (record, request) => {
    log.access(record)
    monitor?.request(layers.endedRequest(record, request))
  }
  await app.register(layers.accessLog, { clock, isTrusted, outcome, write })
}

const isExempt = (): boolean => false
const observe = (): void => undefined

/** Nobody is exempt: that the load comes from this machine must not spare the monitor anything. */
export async function watchRequests(app: FastifyInstance): Promise<layers.Monitor> {
  await app.register(layers.clientAddress, { addresses: layers.createClientAddresses({ trustedProxies: [] }) })
  const store = layers.createMemoryDecisions()
  const policy = { mode: 'enforce', rules: {}, isExempt } as const
  const monitor = await layers.createMonitor({ clock, observe, rules: allRules, policy: () => policy, store })
  await app.register(layers.clientDecisions, {
    decisions: monitor.decisions,
    isExempt,
    observe,
    epochMs: clock.epochMs,
    takeTightened: () => 0,
  })
  return monitor
}
