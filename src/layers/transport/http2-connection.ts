import { constants, type Http2ServerRequest, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { TLSSocket } from 'node:tls'

import { Budget } from './http2-budget.ts'
import { OpenStream } from './http2-stream.ts'
import { maxHeaderBytes } from './secure-server.ts'
import { waitsForTcp } from './slow-readers.ts'

/** What costs a client its connection and looks like an attack. */
export type Http2Abuse = 'http2_protocol_error' | 'http2_reset_flood' | 'http2_frame_flood'

export interface Http2Limits {
  /** For a block of header fields, and for the client's word that it knows our settings. */
  readonly headerTimeoutMs: number
  /** For a whole request; and for any part of an answer to be taken. */
  readonly requestTimeoutMs: number
  /** Without a request. */
  readonly keepAliveMs: number
}

interface Watch extends Http2Limits {
  readonly onLate: (request: Http2ServerRequest) => void
  readonly onAbuse: (socket: TLSSocket, abuse: Http2Abuse) => void
}

/**
 * Streams that end before their answer is out, whether the client resets them (rapid reset, CVE-2023-44487) or makes us do it (CVE-2025-8671).
 * A page that is left cancels what it asked for, at most the hundred streams that it may have.
 */
const broken = { burst: 100, perSecond: 10 }

/**
 * Bytes that are no request, no body and no thanks for an answer: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, unknown and empty frames, header
 * blocks that nghttp2 threw away. Node shows few of them to JavaScript, and a callback for each would be what the attacker wants; their bytes
 * tell of all of them.
 */
const idleBytes = { burst: 65_536, perSecond: 8192 }

/** A frame of 13 bytes opens the window again for what was received; the most eager clients send two of them for each 2 KiB. */
const writtenPerThanks = 64

const pingAckBytes = 17

/** What a client may have on its way when it learns that nobody wants the rest: the window of the session (RFC 9113 section 6.9.2). */
const windowBytes = 65_535

/** What follows an answer (window updates, priorities) needs no question. */
const afterwardsMs = 1000

/** For the last frames to arrive, before a client that does not hang up is cut off. */
const farewellMs = 1000

/** One HTTP/2 session: how long it may take for what, and how much of what is no request. */
export class Http2Connection {
  readonly socket: TLSSocket
  readonly #session: ServerHttp2Session
  readonly #watch: Watch
  readonly #streams = new Set<OpenStream>()
  readonly #broken: Budget
  readonly #idleBytes: Budget
  readonly #openedMs: number
  /** Bytes of requests so far: of bodies, whether somebody reads them or not, and as many as header fields may have. */
  #expectedBytes = 0
  #explainedBytes = 0
  #readBytes = 0
  #writtenBytes = 0
  /** Since the last look a stream was closed whose body may be on the way. Nobody is shown it then. */
  #isBodyLate = false
  /**
   * Bytes of answers that the client let through, less what it sent that is no request. So an answer to PING, which is never longer than the
   * PING, is no progress, and neither is a byte of an answer for a frame of 13.
   */
  taken = 0
  #isBusy = false
  #busyMs: number
  #endedMs: number | undefined
  /** Bytes read when the client was last known to be between two frames. */
  #quietBytes = 0
  #askedMs: number | undefined

  constructor(session: ServerHttp2Session, socket: TLSSocket, watch: Watch, nowMs: number) {
    this.#session = session
    this.socket = socket
    this.#watch = watch
    this.#openedMs = nowMs
    this.#busyMs = nowMs
    this.#broken = new Budget(broken, nowMs)
    this.#idleBytes = new Budget(idleBytes, nowMs)
  }

  addStream(stream: ServerHttp2Stream, nowMs: number): OpenStream {
    const open = new OpenStream(this, stream, nowMs)
    this.#streams.add(open)
    this.#isBusy = true
    this.#expectedBytes += maxHeaderBytes
    return open
  }

  endStream(open: OpenStream, isWhole: boolean, nowMs: number): void {
    this.#streams.delete(open)
    this.#isBodyLate ||= !open.isReceived
    if (!isWhole && !this.#broken.spend(1, nowMs)) this.#cut('http2_reset_flood')
  }

  addBodyBytes(count: number): void {
    this.#expectedBytes += count
  }

  /** Whether the system takes no more, so that the windows of streams are not what answers wait for. */
  get isFull(): boolean {
    return waitsForTcp(this.socket)
  }

  look(nowMs: number): void {
    if (this.#session.destroyed || this.socket.destroyed) this.#hangUp(nowMs)
    else if (!this.#idleBytes.spend(this.#unexplainedBytes(), nowMs)) this.#cut('http2_frame_flood')
    else if (this.#session.pendingSettingsAck && nowMs - this.#openedMs >= this.#watch.headerTimeoutMs) this.#end()
    else if (this.#streams.size > 0) this.#lookAtStreams(nowMs)
    else this.#lookAtRest(nowMs)
  }

  #unexplainedBytes(): number {
    const { bytesRead, bytesWritten } = this.socket
    if (this.#isBodyLate) this.#expectedBytes += windowBytes
    this.#isBodyLate = false
    const unasked = bytesRead - this.#readBytes - (this.#expectedBytes - this.#explainedBytes)
    const written = bytesWritten - this.#writtenBytes
    this.#readBytes = bytesRead
    this.#writtenBytes = bytesWritten
    this.#explainedBytes = this.#expectedBytes
    this.taken += written - Math.max(0, unasked)
    return unasked - written / writtenPerThanks
  }

  #lookAtStreams(nowMs: number): void {
    const { requestTimeoutMs, onLate } = this.#watch
    this.#isBusy = true
    for (const open of this.#streams) open.judge(nowMs, requestTimeoutMs, onLate)
  }

  /**
   * Between requests there is nothing to see of a block of header fields that does not end (HEADERS without END_HEADERS, CONTINUATION byte by
   * byte), but only its next frame may follow it (RFC 9113 section 6.10). So when bytes came that nothing explains, the client is asked with a
   * PING: who is between two frames can answer.
   */
  #lookAtRest(nowMs: number): void {
    const { headerTimeoutMs, keepAliveMs } = this.#watch
    const { bytesRead } = this.socket
    if (this.#isBusy) {
      this.#isBusy = false
      this.#busyMs = nowMs
      this.#askedMs = undefined
    }
    if (nowMs - this.#busyMs >= keepAliveMs) this.#session.close()
    else if (this.#askedMs !== undefined) {
      if (nowMs - this.#askedMs >= headerTimeoutMs) this.#end()
    } else if (this.#busyMs !== this.#openedMs && nowMs - this.#busyMs < afterwardsMs) this.#quietBytes = bytesRead
    else if (bytesRead !== this.#quietBytes) this.#ask(nowMs)
  }

  #ask(nowMs: number): void {
    const { bytesRead } = this.socket
    this.#askedMs = nowMs
    this.#session.ping((error) => {
      if (error !== null) return
      this.#askedMs = undefined
      // More than the answer came: whoever hides the beginning of a block behind it is asked again.
      if (this.socket.bytesRead - bytesRead <= pingAckBytes) this.#quietBytes = this.socket.bytesRead
    })
  }

  #cut(abuse: Http2Abuse): void {
    if (this.#session.destroyed) return
    this.#watch.onAbuse(this.socket, abuse)
    destroyWith(this.#session, constants.NGHTTP2_ENHANCE_YOUR_CALM)
  }

  /** Too slow, which honest clients may be too. */
  #end(): void {
    this.#session.destroy()
  }

  /** GOAWAY is out, or cannot be sent. */
  #hangUp(nowMs: number): void {
    this.#endedMs ??= nowMs
    if (nowMs - this.#endedMs >= farewellMs) this.socket.destroy()
  }
}

/** With the code in GOAWAY; Node's types know of errors alone. */
const destroyWith = (session: ServerHttp2Session, code: number): void =>
  (session as unknown as { destroy(code: number): void }).destroy(code)
