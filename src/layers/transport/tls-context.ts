import { constants, randomBytes } from 'node:crypto'
import type { Server } from 'node:tls'

/** In PEM. */
export interface TlsMaterial {
  /** The certificate, then those that lead to one that clients know. */
  readonly cert: string
  readonly key: string
}

/** TLS 1.2 with AEAD and forward secrecy, and 1.3 (RFC 9325 sections 3.1 and 4.2); the cheapest first. */
const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

/**
 * Whoever learns the key of tickets reads every TLS 1.2 session that began with one of them, recorded ones too: so keys live for an hour and
 * in memory alone, and tickets for half of that (RFC 9325 section 3.4; RFC 5077 section 5.5).
 */
export const ticketKeyMs = 3_600_000
const ticketSeconds = ticketKeyMs / 2 / 1000

/** What a TLS server speaks with, at its start and when it gets another certificate. */
export const secureContextOptions = ({ cert, key }: TlsMaterial) => ({
  cert,
  key,
  ciphers,
  minVersion: 'TLSv1.2' as const,
  // Elliptic curves alone, and the hybrid that browsers prefer: OpenSSL would offer finite-field groups too, one of 112 bits (CVE-2022-40735).
  ecdhCurve: 'X25519MLKEM768:X25519:prime256v1:secp384r1',
  // Costs the client nothing and us a handshake each time (CVE-2011-1473); OpenSSL's own answer, not only Node's three in ten minutes.
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  sessionTimeout: ticketSeconds,
})

/** New connections get the new certificate; open ones, and the requests on them, go on as they are. */
export const replaceCertificate = (server: Server, material: TlsMaterial): void => server.setSecureContext(secureContextOptions(material))

/** From now on nobody can read a ticket that was given before: such a client makes a whole handshake. */
export const renewTicketKeys = (server: Server): void => server.setTicketKeys(randomBytes(48))
