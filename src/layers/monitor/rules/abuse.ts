import type { Rule } from '../rule.ts'
import { day, hour, minute, oneIn } from './times.ts'

const api1 = 'OWASP API1:2023 Broken Object Level Authorization'
const api6 = 'OWASP API6:2023 Unrestricted Access to Sensitive Business Flows'

/** What is allowed once, and is abuse a hundred times, in whatever API. */
export const abuseRules: readonly Rule[] = [
  {
    name: 'id-sweep',
    summary: 'One client counts through ids, most of which there are not, faster than a person',
    groupBy: ['client'],
    bucket: { capacity: 60, leakPerSecond: oneIn(2) },
    when: [{ request: { hasId: true, statuses: [400, 404], foreign: false } }],
    distinct: 'id',
    decision: { type: 'tighten', scope: 'client', durationMs: 10 * minute, maxDurationMs: 6 * hour },
    tells: 'malicious_direct_reference',
    confidence: 'medium',
    spoofable: false,
    references: ['OWASP OAT-011 Scraping', api1, 'MITRE ATT&CK T1119'],
  },
  {
    name: 'cursor-scraping',
    summary: 'An anonymous client reads one listing page by page to its end',
    groupBy: ['client', 'listing'],
    // 180 pages an hour leak: a crawler that keeps to the limits never fills it.
    bucket: { capacity: 40, leakPerSecond: oneIn(20) },
    when: [{ request: { authenticated: false, parameters: ['cursor'], verdicts: ['ok'] } }],
    distinct: 'cursor',
    decision: { type: 'tighten', scope: 'client', durationMs: 30 * minute, maxDurationMs: day },
    confidence: 'medium',
    spoofable: false,
    references: ['OWASP OAT-011 Scraping', api6, 'MITRE ATT&CK T1119'],
  },
]
