import { constants, type Http2ServerRequest, type ServerHttp2Stream } from 'node:http2'

import type { Http2Connection } from './http2-connection.ts'

const { NGHTTP2_NO_ERROR, NGHTTP2_CANCEL } = constants

/** As over HTTP/1.1: who takes less of an answer than so much a second, averaged over three times what a request may take, is cut. */
const slowRead = { leastBytesPerSecond: 1024, windows: 3 }

const slot = Symbol('open stream')

type MarkedStream = ServerHttp2Stream & { [slot]?: OpenStream }

/** What is known of a stream; undefined where nobody watches the server. */
export const openStreamOf = (stream: ServerHttp2Stream): OpenStream | undefined => (stream as MarkedStream)[slot]

/** One request and its answer, for as long as the stream is open. */
export class OpenStream {
  readonly connection: Http2Connection
  readonly #stream: ServerHttp2Stream
  readonly #openedMs: number
  /** Of the answer, handed over to Node: bytes, or characters of text. It only ever grows. */
  given = 0
  /** Whether END_STREAM came, so that no more of the request can be on the way. */
  isReceived: boolean
  /** Undefined until somebody is about to look at it. */
  request: Http2ServerRequest | undefined
  #givenBefore = 0
  #leftBefore = 0
  #movedMs: number
  /** When the connection was last seen to take enough, and how much it had taken by then. */
  #fastMs: number
  #fastTaken = 0
  #isWhole: boolean
  #isAnswered = false

  constructor(connection: Http2Connection, stream: ServerHttp2Stream, nowMs: number) {
    this.connection = connection
    this.#stream = stream
    this.#openedMs = nowMs
    this.#movedMs = nowMs
    this.#fastMs = nowMs
    this.#isWhole = stream.endAfterHeaders
    this.isReceived = stream.endAfterHeaders
    if (!this.isReceived) this.#countBody()
    ;(stream as MarkedStream)[slot] = this
  }

  /** `late` is called once, when the request should be here in whole and is not, and nobody has answered it. */
  judge(nowMs: number, timeoutMs: number, late: (request: Http2ServerRequest) => void): void {
    const stream = this.#stream
    // Node ends the stream of a HEAD before anybody answers it.
    if (stream.writableFinished && stream.headersSent) this.#endUnread()
    else if (this.#isStuck(nowMs, timeoutMs)) stream.close(NGHTTP2_CANCEL)
    else if (!this.#isWhole && nowMs - this.#openedMs >= timeoutMs) {
      this.#isWhole = true
      if (this.request !== undefined && !isComplete(stream) && !stream.headersSent) late(this.request)
    }
  }

  /** Node pushes what arrives whether somebody reads it or not; the first of it may be there before the stream is told of. */
  #countBody(): void {
    const stream = this.#stream
    const { connection } = this
    const push = stream.push.bind(stream)
    connection.addBodyBytes(stream.readableLength)
    stream.push = (chunk: Uint8Array | null, ...rest) => {
      if (chunk !== null) connection.addBodyBytes(chunk.length)
      // The end of one that was closed before is Node's own word.
      else this.isReceived ||= !stream.closed
      return push(chunk, ...rest)
    }
  }

  /** The answer is out: what is still to come of the request is not wanted (RFC 9113 section 8.1). A whole one is gone by the next look. */
  #endUnread(): void {
    if (this.#isAnswered) this.#stream.close(NGHTTP2_NO_ERROR)
    this.#isAnswered = true
  }

  /** Whether the client leaves an answer untaken: a window of zero, or one that is opened byte by byte. */
  #isStuck(nowMs: number, timeoutMs: number): boolean {
    const { bufferSize, writableLength } = this.#stream
    if (bufferSize === 0 || this.given !== this.#givenBefore || bufferSize !== this.#leftBefore) {
      this.#givenBefore = this.given
      this.#leftBefore = bufferSize
      this.#movedMs = nowMs
      return this.#isFast(nowMs)
    }
    const { leastBytesPerSecond, windows } = slowRead
    // Of a large piece nothing is seen here until all of it is out. Whoever takes enough of it is done by then, whatever else the connection takes.
    if (nowMs - this.#movedMs >= windows * timeoutMs + (writableLength * 1000) / leastBytesPerSecond) return true
    // TCP is what they wait for, which SlowReaders look at.
    if (this.connection.isFull) return this.#isFast(nowMs)
    const elapsedMs = nowMs - this.#fastMs
    const taken = this.connection.taken - this.#fastTaken
    if (elapsedMs < timeoutMs) return false
    if (taken <= 0) return true
    if (elapsedMs < windows * timeoutMs) return false
    return taken * 1000 < leastBytesPerSecond * elapsedMs || this.#isFast(nowMs)
  }

  #isFast(nowMs: number): false {
    this.#fastMs = nowMs
    this.#fastTaken = this.connection.taken
    return false
  }
}

/** Asked late and seldom: nghttp2 knows whether END_STREAM came, also where nobody has read the body. */
const isComplete = (stream: ServerHttp2Stream): boolean => stream.readableEnded || stream.state.remoteClose === 1
