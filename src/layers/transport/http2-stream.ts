import { constants, type Http2ServerRequest, type ServerHttp2Stream } from 'node:http2'

import type { Http2Connection } from './http2-connection.ts'

const { NGHTTP2_NO_ERROR, NGHTTP2_CANCEL } = constants

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
  /** Undefined until somebody is about to look at it. */
  request: Http2ServerRequest | undefined
  #givenBefore = 0
  #leftBefore = 0
  #movedMs: number
  #isWhole: boolean
  #isAnswered = false

  constructor(connection: Http2Connection, stream: ServerHttp2Stream, nowMs: number) {
    this.connection = connection
    this.#stream = stream
    this.#openedMs = nowMs
    this.#movedMs = nowMs
    this.#isWhole = stream.endAfterHeaders
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

  /** The answer is out: what is still to come of the request is not wanted (RFC 9113 section 8.1). A whole one is gone by the next look. */
  #endUnread(): void {
    if (this.#isAnswered) this.#stream.close(NGHTTP2_NO_ERROR)
    this.#isAnswered = true
  }

  /** Whether the client has left an answer untaken for so long: a window of zero, or one that is opened byte by byte. */
  #isStuck(nowMs: number, timeoutMs: number): boolean {
    const { bufferSize } = this.#stream
    if (bufferSize !== 0 && this.given === this.#givenBefore && bufferSize === this.#leftBefore) return nowMs - this.#movedMs >= timeoutMs
    this.#givenBefore = this.given
    this.#leftBefore = bufferSize
    this.#movedMs = nowMs
    return false
  }
}

/** Asked late and seldom: nghttp2 knows whether END_STREAM came, also where nobody has read the body. */
const isComplete = (stream: ServerHttp2Stream): boolean => stream.readableEnded || stream.state.remoteClose === 1
