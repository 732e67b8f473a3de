import type { Rule } from '../rule.ts'
import { day, hour, minute, oneIn, week } from './times.ts'

/** What `authn_login_fail` says of a guess at a password; of a second factor or another proof; and of a token or a key. */
const passwordReasons = ['unknown user', 'wrong password', 'disabled account', 'account without a password']
const otherReasons = [
  'wrong code',
  'wrong recovery code',
  'wrong current password',
  'claim code is not good',
  'no such login to finish',
  'unknown passkey',
]
/** An expired one is no guess: each honest client shows one now and then. */
const tokenReasons = ['malformed', 'unknown issuer', 'unknown signing key', 'wrong signature', 'wrong claims', 'speaks for nobody']

const wrongPassword = { event: 'authn_login_fail', where: { reason: passwordReasons } } as const

const oat008 = 'OWASP OAT-008 Credential Stuffing'
const api2 = 'OWASP API2:2023 Broken Authentication'

/**
 * Guesses. The limits of login (docs/login.md) stop each of them by themselves; these rules see who goes on, and who goes around the limits.
 * Behind one address may sit an office, so clients are slowed down, not shut out: `tighten` leaves ten requests a minute.
 */
export const credentialRules: readonly Rule[] = [
  {
    name: 'credential-stuffing',
    summary: 'One client fails to log in to many accounts',
    groupBy: ['client'],
    // CrowdSec's generic-bf has 5, 10 s; an office of 500 that comes in within an hour slips about once a minute, each person on one account.
    bucket: { capacity: 8, leakPerSecond: oneIn(30) },
    when: [wrongPassword],
    distinct: 'account',
    decision: { type: 'tighten', scope: 'client', durationMs: 30 * minute, maxDurationMs: day },
    confidence: 'high',
    spoofable: false,
    references: [oat008, api2, 'MITRE ATT&CK T1110.004', 'MITRE ATT&CK T1110.003', 'ASVS 5.0 6.3.1', 'CrowdSec http-generic-bf: 5, 10 s'],
  },
  {
    name: 'credential-stuffing-network',
    summary: 'The clients of one network fail to log in to many accounts',
    groupBy: ['network'],
    bucket: { capacity: 30, leakPerSecond: oneIn(30) },
    when: [wrongPassword],
    distinct: 'account',
    decision: { type: 'tighten', scope: 'range', durationMs: 30 * minute, maxDurationMs: day },
    confidence: 'medium',
    spoofable: false,
    references: [oat008, api2, 'MITRE ATT&CK T1110.004', 'ASVS 5.0 6.3.1'],
  },
  {
    name: 'password-guessing',
    summary: 'One client guesses on, long after no guess of it is looked at',
    groupBy: ['client'],
    // Somebody who tries a password every five seconds for an hour does not fill it; a program with ten guesses a second does in five.
    bucket: { capacity: 40, leakPerSecond: oneIn(2) },
    when: [{ event: 'authn_login_fail', where: { reason: [...passwordReasons, ...otherReasons] } }, { event: 'authn_login_fail_max' }],
    decision: { type: 'tighten', scope: 'client', durationMs: 15 * minute, maxDurationMs: day },
    confidence: 'high',
    spoofable: false,
    references: ['OWASP OAT-007 Credential Cracking', api2, 'MITRE ATT&CK T1110.001', 'ASVS 5.0 6.3.1', 'fail2ban: 5 in 10 minutes'],
  },
  {
    name: 'distributed-guessing',
    summary: 'Many clients fail to log in to one account',
    groupBy: ['account'],
    bucket: { capacity: 12, leakPerSecond: oneIn(300) },
    when: [wrongPassword],
    distinct: 'client',
    // Short, and never more: whoever can reach a few addresses can bring it about. Its owner goes on where they were before, and with keys.
    decision: { type: 'require_login', scope: 'account', durationMs: 15 * minute, maxDurationMs: hour },
    confidence: 'medium',
    spoofable: true,
    references: ['OWASP OAT-007 Credential Cracking', api2, 'MITRE ATT&CK T1110', 'ASVS 5.0 6.3.1'],
  },
  {
    name: 'token-guessing',
    summary: 'One client shows many tokens or keys that are none',
    groupBy: ['client'],
    // A client that shows the same one for ever is wrong once.
    bucket: { capacity: 20, leakPerSecond: oneIn(60) },
    when: [{ event: 'authn_login_fail', where: { reason: tokenReasons } }],
    distinct: 'account',
    decision: { type: 'tighten', scope: 'client', durationMs: 30 * minute, maxDurationMs: day },
    confidence: 'high',
    spoofable: false,
    references: [api2, 'OWASP OAT-007 Credential Cracking', 'MITRE ATT&CK T1110', 'ASVS 5.0 9.1.1'],
  },
  {
    name: 'token-reuse',
    summary: 'A refresh token of an account came a second time: somebody has a copy',
    groupBy: ['account'],
    // The session has ended by itself. Whether the owner's password is gone, too, people have to find out.
    bucket: { capacity: 0, leakPerSecond: oneIn(3600) },
    when: [{ event: 'authn_token_reuse' }],
    decision: { type: 'tell', scope: 'account', durationMs: day, maxDurationMs: day },
    confidence: 'medium',
    spoofable: false,
    references: [api2, 'MITRE ATT&CK T1550.001', 'RFC 9700 section 4.14.2'],
  },
  {
    name: 'key-leakage',
    summary: 'One API key is used from many networks',
    groupBy: ['principal'],
    bucket: { capacity: 30, leakPerSecond: oneIn(1800) },
    when: [{ request: { withKey: true, verdicts: ['ok'] } }],
    distinct: 'network',
    // A key that is built into an app looks the same, and refusing it would shut out everybody who has the app.
    decision: { type: 'tell', scope: 'principal', durationMs: day, maxDurationMs: week },
    confidence: 'low',
    spoofable: false,
    references: [api2, 'MITRE ATT&CK T1552', 'MITRE ATT&CK T1078'],
  },
  {
    name: 'success-after-burst',
    summary: 'A burst of wrong passwords at a speed that nobody types at, then a login',
    groupBy: ['client', 'account'],
    bucket: { capacity: 5, leakPerSecond: oneIn(3) },
    when: [wrongPassword],
    completedBy: { event: 'session_created' },
    // Only the session that was just opened: the account and its owner's sessions go on.
    decision: { type: 'ban', scope: 'principal', durationMs: day, maxDurationMs: week },
    confidence: 'medium',
    spoofable: false,
    references: ['OWASP OAT-007 Credential Cracking', api2, 'MITRE ATT&CK T1110.001', 'MITRE ATT&CK T1078'],
  },
  {
    name: 'honey-key',
    summary: 'Somebody uses a key that was laid out as a trap',
    groupBy: ['client'],
    bucket: { capacity: 0, leakPerSecond: oneIn(3600) },
    when: [{ event: 'authn_login_fail', where: { reason: 'honey_key' } }],
    decision: { type: 'ban', scope: 'client', durationMs: day, maxDurationMs: week },
    confidence: 'high',
    spoofable: false,
    references: ['MITRE ATT&CK T1552.001', 'MITRE D3FEND D3-DUC Decoy User Credential'],
  },
]
