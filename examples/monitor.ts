/**
 * A monitor in an application that has nothing else of Filmgate: the rules that come with it and one of our own, first observed, then enforced.
 *
 *     MODE=observe PORT=8080 node examples/monitor.ts
 */
import Fastify from 'fastify'

import * as filmgate from '../src/layers/index.ts'

const clock = filmgate.systemClock

// A rule is data. Here: whoever looks for coupons that there are not, ten different ones within a few minutes, waits for an hour.
const couponGuessing: filmgate.Rule = {
  name: 'coupon-guessing',
  summary: 'One client tries one coupon after the other.',
  groupBy: ['client'],
  when: [{ request: { methods: ['GET'], routes: ['/coupons/:code'], statuses: [404] } }],
  distinct: 'id',
  bucket: { capacity: 9, leakPerSecond: 1 / 60 },
  decision: { type: 'ban', scope: 'client', durationMs: 3_600_000, maxDurationMs: 7 * 86_400_000 },
  confidence: 'high',
  spoofable: false,
  references: ['OWASP OAT-002 Token Cracking'],
}

const policy: filmgate.MonitorPolicy = {
  mode: process.env['MODE'] === 'observe' ? 'observe' : 'enforce',
  rules: {},
  // Our own proxies and machines are never decided about. Here the client is on this machine, so nobody is spared.
  isExempt: () => false,
}

// What layers and the monitor tell, the monitor hears too.
const observe: filmgate.MonitorOptions['observe'] = (event) => {
  console.log(JSON.stringify(event))
  monitor?.event(event)
}
let monitor: filmgate.Monitor | undefined
const opened = await filmgate.createMonitor({
  clock,
  observe,
  rules: [...filmgate.builtInRules, couponGuessing],
  policy: () => policy,
  store: filmgate.createMemoryDecisions(),
})
monitor = opened

const app = Fastify()
await app.register(filmgate.problems, { observe })
await app.register(filmgate.clientAddress, { addresses: filmgate.createClientAddresses({ trustedProxies: [] }) })

// 1. Each request is handed to the monitor when it has ended.
await app.register(filmgate.accessLog, {
  clock,
  isTrusted: () => false,
  outcome: ({ client, refusal }) => ({
    client: client.address,
    principal: null,
    verdict: refusal?.code ?? 'ok',
    error: null,
    bytesIn: 0,
  }),
  write: (record, request) => opened.request(filmgate.endedRequest(record, request)),
})

// 2. Whoever is banned is refused before anything else is done.
await app.register(filmgate.clientDecisions, {
  decisions: opened.decisions,
  isExempt: policy.isExempt,
  epochMs: clock.epochMs,
  observe,
  takeTightened: () => 0,
})

app.get('/coupons/:code', (request, reply) => {
  const { code } = request.params as { readonly code: string }
  return code === 'welcome' ? { discount: 10 } : reply.code(404).send({ error: 'no such coupon' })
})

process.once('SIGTERM', () => void app.close().then(() => opened.close()))
console.log(`listens on ${await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT'] ?? 0) })}`)
