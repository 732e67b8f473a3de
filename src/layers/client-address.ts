import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

import type { FastifyPluginCallback } from 'fastify'

import {
  type AddressParts,
  type Cidr,
  clientNetwork,
  clientPrefix,
  formatAddress,
  inCidr,
  isLoopback,
  parseAddress,
  parseCidr,
} from '../core/address.ts'
import { wholeServer } from '../core/plugin.ts'
import type { Client } from '../core/request.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the client-address layer. */
    client: Client
  }
}

export interface ClientAddresses {
  /** The client behind the trusted proxies. */
  of(request: IncomingMessage): Client
  /** The peer itself, for what fails before there is a request. */
  ofSocket(socket: Socket): Client
  /** Whether the peer is a trusted proxy, so that its X-Request-Id and traceparent may be kept. */
  isTrusted(socket: Socket): boolean
}

/** A longer chain than any real one; past it somebody is testing our patience. */
const maxHops = 32

export interface ClientAddressOptions {
  readonly trustedProxies: readonly string[]
  /** Called once, when a loopback peer that nobody trusts sends X-Forwarded-For: a proxy that the configuration forgot. */
  readonly onUntrustedProxy?: () => void
}

/** Behind a proxy it is made for each request, so what few ask for is made when they do. */
class Peer implements Client {
  readonly address: string
  readonly prefix: string
  readonly trusted: boolean
  readonly loopback: boolean
  readonly #parts: AddressParts | undefined

  constructor(parts: AddressParts | undefined, trusted: boolean) {
    this.address = parts === undefined ? 'unknown' : formatAddress(parts)
    this.prefix = parts === undefined ? 'unknown' : clientPrefix(parts)
    this.trusted = trusted
    this.loopback = parts !== undefined && isLoopback(parts)
    this.#parts = parts
  }

  get network(): string | undefined {
    return this.#parts && clientNetwork(this.#parts)
  }
}

const nobody = new Peer(undefined, false)

/**
 * Who sends a request. `trustedProxies` are CIDRs; X-Forwarded-For is read from right to left, because each trusted proxy appends the
 * address it saw, while everything further left is whatever the client wrote. Throws on a malformed CIDR.
 */
export const createClientAddresses = ({ trustedProxies, onUntrustedProxy }: ClientAddressOptions): ClientAddresses => {
  const cidrs = trustedProxies.map(readCidr)
  const trusts = (parts: AddressParts): boolean => cidrs.some((cidr) => inCidr(parts, cidr))
  const describe = (parts: AddressParts | undefined): Peer => (parts === undefined ? nobody : new Peer(parts, trusts(parts)))

  // A connection has one peer: what was parsed for its first request serves the others.
  const peers = new WeakMap<Socket, Peer>()
  const peerOf = (socket: Socket): Peer => {
    const known = peers.get(socket)
    if (known) return known
    const peer = describe(parseAddress(socket.remoteAddress ?? ''))
    if (peer !== nobody) peers.set(socket, peer)
    return peer
  }

  const forwarded = (peer: Peer, header: string): Client => {
    let client = peer
    const hops = header.split(',').slice(-maxHops)
    for (const hop of hops.toReversed()) {
      const parts = parseAddress(withoutPort(hop.trim()))
      // Nothing that we trust wrote this: what is left of it cannot be believed either.
      if (parts === undefined) return client
      client = describe(parts)
      if (!client.trusted) return client
    }
    return client
  }

  let warned = onUntrustedProxy === undefined
  const warn = (): void => {
    if (warned) return
    warned = true
    onUntrustedProxy?.()
  }

  return {
    of: (request) => {
      const peer = peerOf(request.socket)
      const header = request.headers['x-forwarded-for']
      if (!peer.trusted) {
        if (header !== undefined && peer.loopback) warn()
        return peer
      }
      return header === undefined ? peer : forwarded(peer, String(header))
    },
    ofSocket: peerOf,
    isTrusted: (socket) => peerOf(socket).trusted,
  }
}

const readCidr = (text: string): Cidr => {
  const cidr = parseCidr(text)
  if (cidr === undefined) throw new TypeError(`trustedProxies: ${JSON.stringify(text)} is not a CIDR such as 10.0.0.0/8`)
  return cidr
}

/** Some proxies append `:port`; IPv6 then stands in brackets. */
const withoutPort = (hop: string): string => /^\[([^\]]*)\](?::\d+)?$/.exec(hop)?.[1] ?? /^([^:]+):\d+$/.exec(hop)?.[1] ?? hop

/** Layer 2: sets `request.client`. */
export const clientAddress: FastifyPluginCallback<{ readonly addresses: ClientAddresses }> = wholeServer(
  'client-address',
  (app, { addresses }, done) => {
    app.addHook('onRequest', (request, _reply, next) => {
      request.client = addresses.of(request.raw)
      next()
    })
    done()
  },
)
