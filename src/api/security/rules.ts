import type { Rule } from '../../layers/index.ts'

const api1 = 'OWASP API1:2023 Broken Object Level Authorization'
const api6 = 'OWASP API6:2023 Unrestricted Access to Sensitive Business Flows'

const hour = 3_600_000
const day = 24 * hour
const week = 7 * day
/** One unit in so many seconds. */
const oneIn = (seconds: number): number => 1 / seconds

/** Whoever goes away before the answer has done it all the same. */
const done = ['ok', 'aborted']

/** What belongs to one account, whoever asks for it. */
const ownedRoutes = ['/v1/keys/:id', '/v1/auth/sessions/:id', '/v1/me/passkeys/:id']
const notTheirs = { authenticated: true, hasId: true, routes: [...ownedRoutes, '/v1/users/:id'], statuses: [403, 404] } as const

/** The rules that know the routes of this API, beside those that the monitor brings for any. */
export const filmgateRules: readonly Rule[] = [
  {
    name: 'id-enumeration',
    summary: 'Somebody who is logged in tries ids that are not theirs',
    groupBy: ['principal'],
    bucket: { capacity: 10, leakPerSecond: oneIn(60) },
    when: [{ request: { ...notTheirs, withKey: false } }],
    distinct: 'id',
    decision: { type: 'ban', scope: 'principal', durationMs: hour, maxDurationMs: week },
    tells: 'malicious_direct_reference',
    confidence: 'high',
    spoofable: false,
    references: [api1, 'MITRE ATT&CK T1087', 'ASVS 5.0 8.2.2'],
  },
  {
    name: 'id-enumeration-with-key',
    summary: 'One client tries ids, with a key, that are not of whose key it is',
    groupBy: ['client', 'principal'],
    bucket: { capacity: 10, leakPerSecond: oneIn(60) },
    when: [{ request: { ...notTheirs, withKey: true } }],
    distinct: 'id',
    // Never the key: whoever has an app that it is built into could have it refused to everybody else.
    decision: { type: 'tighten', scope: 'client', durationMs: hour, maxDurationMs: week },
    tells: 'malicious_direct_reference',
    confidence: 'high',
    spoofable: false,
    references: [api1, 'MITRE ATT&CK T1087', 'ASVS 5.0 8.2.2'],
  },
  {
    name: 'owned-sweep',
    summary: 'Somebody who is logged in goes through more of what belongs to one account than one account has',
    groupBy: ['principal'],
    bucket: { capacity: 60, leakPerSecond: oneIn(30) },
    when: [{ request: { authenticated: true, hasId: true, routes: ownedRoutes, verdicts: ['ok'] } }],
    distinct: 'id',
    // If these are really others', the server has a hole, and people should know.
    decision: { type: 'tell', scope: 'principal', durationMs: day, maxDurationMs: day },
    tells: 'malicious_direct_reference',
    confidence: 'medium',
    spoofable: false,
    references: [api1, 'MITRE ATT&CK T1119'],
  },
  {
    name: 'vote-stuffing',
    summary: 'Many clients of one network give the same vote to the same film without saying who they are',
    groupBy: ['network', 'vote'],
    bucket: { capacity: 40, leakPerSecond: oneIn(120) },
    when: [
      { request: { authenticated: false, methods: ['GET'], parameters: ['like', 'dislike'], verdicts: done, foreign: false } },
      { request: { authenticated: false, methods: ['PUT'], routes: ['/v1/films/:id/vote'], verdicts: done } },
    ],
    distinct: 'client',
    // Slowing down does not help against one vote each; whoever has an account there goes on.
    decision: { type: 'require_login', scope: 'range', durationMs: hour, maxDurationMs: day },
    confidence: 'medium',
    spoofable: false,
    references: ['OWASP OAT-016 Skewing', api6, 'MITRE ATT&CK T1565'],
  },
  {
    name: 'vote-surge',
    summary: 'Many networks give the same vote to the same film at once',
    groupBy: ['vote'],
    bucket: { capacity: 300, leakPerSecond: oneIn(2) },
    when: [{ request: { authenticated: false, methods: ['GET'], parameters: ['like', 'dislike'], verdicts: done, foreign: false } }],
    distinct: 'network',
    // A film that is in the news looks the same.
    decision: { type: 'tell', scope: 'range', durationMs: hour, maxDurationMs: day },
    confidence: 'low',
    spoofable: true,
    references: ['OWASP OAT-016 Skewing', api6],
  },
  {
    name: 'add-film-spam',
    summary: 'Films are added whose text leads to other sites',
    groupBy: ['principal'],
    bucket: { capacity: 3, leakPerSecond: oneIn(3600) },
    when: [
      {
        request: {
          authenticated: true,
          methods: ['POST', 'PATCH'],
          routes: ['/add_film', '/v1/films', '/v1/films/:id'],
          verdicts: done,
          tags: ['link'],
        },
      },
    ],
    // The key alone: its owner may not know who has it.
    decision: { type: 'ban', scope: 'principal', durationMs: hour, maxDurationMs: week },
    confidence: 'high',
    spoofable: false,
    references: ['OWASP OAT-017 Spamming', api6],
  },
]
