import type { Kept } from './finding.ts'

const testCertificate =
  'The certificate is of an authority that lives for one run: it has no revocation service. A public one brings its own.'

/** What the tools say and what stays all the same; shown in SECURITY.md. */
export const keptFindings: readonly Kept[] = [
  { tool: 'testssl.sh', id: /^HIGH cert_revocation$/, reason: testCertificate },
  {
    tool: 'testssl.sh',
    id: /^WARN engine_problem$/,
    reason: "About the tool's own openssl, which has no GOST engine; nothing of the server was left untested for it.",
  },
  {
    tool: 'testssl.sh',
    id: /^WARN sessionresumption_ticket$/,
    reason: 'Its openssl may hang up before the ticket of TLS 1.3 arrives. Tickets have tests of ours, in test/tls.',
    sometimes: true,
  },
  {
    tool: 'wapiti',
    id: /^HTTP Secure Headers$/,
    where: /^GET \/$/,
    reason:
      'X-XSS-Protection is not sent: no browser of today has the filter that it steered, and the filter itself could be abused. The CSP does its work.',
  },
  {
    tool: 'ffuf',
    id: /^status 401$/,
    where: /^\/v1\/%75sers$/,
    reason: 'An unreserved character in percent is the same address (RFC 3986 section 6.2.2.2), with the same guard before it.',
  },
]
