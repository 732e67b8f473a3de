import type { Rule } from '../rule.ts'
import { day, hour, minute, oneIn } from './times.ts'

const api4 = 'OWASP API4:2023 Unrestricted Resource Consumption'

/** What costs the server more than it costs whoever does it. */
export const serviceRules: readonly Rule[] = [
  {
    name: 'limit-hammering',
    summary: 'One client goes on and on after it was told to wait',
    groupBy: ['client'],
    // 500 people behind one address may share a quota that is used up, and each try again now and then.
    bucket: { capacity: 200, leakPerSecond: 2 },
    when: [{ event: 'excess_rate_limit_exceeded' }],
    decision: { type: 'tighten', scope: 'client', durationMs: 10 * minute, maxDurationMs: 6 * hour },
    confidence: 'medium',
    spoofable: true,
    references: ['OWASP OAT-015 Denial of Service', api4, 'MITRE ATT&CK T1499.002', 'CrowdSec http-crawl-non_statics: 40, 0.5 s'],
  },
  {
    name: 'slow-client',
    summary: 'One client sends its requests, or takes its answers, so slowly that they are cut off, again and again',
    groupBy: ['client'],
    bucket: { capacity: 8, leakPerSecond: oneIn(60) },
    when: [
      { request: { verdicts: ['request_timeout'] } },
      { event: 'excess_rate_limit_exceeded', where: { policy: 'connections', violated: 'min_read_rate' } },
    ],
    decision: { type: 'ban', scope: 'client', durationMs: 15 * minute, maxDurationMs: day },
    confidence: 'medium',
    spoofable: false,
    references: ['OWASP OAT-015 Denial of Service', api4, 'MITRE ATT&CK T1499.001'],
  },
  {
    name: 'protocol-abuse',
    summary: 'One client sends what is no HTTP, or what no client sends',
    groupBy: ['client'],
    // A browser that was told https:// of a plain port tries a few times. A wrong Host is no abuse: a name of somebody else's may point here.
    bucket: { capacity: 15, leakPerSecond: oneIn(30) },
    when: [
      {
        event: 'malicious_extraneous',
        where: {
          reason: [
            'bad_request',
            'method_not_allowed',
            'headers_too_large',
            'payload_too_large',
            'uri_too_long',
            'expectation_failed',
            'http2_protocol_error',
            'http2_reset_flood',
            'http2_frame_flood',
          ],
        },
      },
    ],
    // No ban: images with endless addresses, forms and fetches that are aborted make any visitor's browser do this. What is no HTTP at all meets
    // the caps of connections, not decisions.
    decision: { type: 'tighten', scope: 'client', durationMs: 15 * minute, maxDurationMs: day },
    confidence: 'medium',
    spoofable: true,
    references: ['OWASP OAT-004 Fingerprinting', 'MITRE ATT&CK T1595.002', 'OWASP CRS 920, 921'],
  },
]
