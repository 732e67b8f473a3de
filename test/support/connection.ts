import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

import { parseAnswer, type RawAnswer } from './raw.ts'

export interface Connection extends Disposable {
  readonly socket: Socket
  send(bytes: string): void
  /** Resolves with the next answer; rejects when the connection ends without one. */
  answer(): Promise<RawAnswer>
  /** Resolves when the server has ended the connection. */
  readonly closed: Promise<void>
}

/** A connection whose bytes the test decides on; resolves when it stands. */
export const openConnection = async (port: number): Promise<Connection> => {
  const socket = connect({ port, host: '127.0.0.1' })
  await once(socket, 'connect')
  let text = ''
  let arrived: (() => void) | undefined
  socket.setEncoding('latin1')
  socket.on('data', (chunk: string) => {
    text += chunk
    arrived?.()
  })
  // A 'close' follows every 'error'.
  socket.on('error', () => undefined)
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))

  const takeAnswer = (): RawAnswer | undefined => {
    const bodyStart = text.indexOf('\r\n\r\n') + 4
    if (bodyStart < 4) return undefined
    const length = Number(parseAnswer(text.slice(0, bodyStart)).headers['content-length'] ?? 0)
    if (text.length < bodyStart + length) return undefined
    const answer = parseAnswer(text.slice(0, bodyStart + length))
    text = text.slice(bodyStart + length)
    return answer
  }
  const answer = (): Promise<RawAnswer> =>
    new Promise((resolve, reject) => {
      arrived = () => {
        const whole = takeAnswer()
        if (whole !== undefined) resolve(whole)
      }
      void closed.then(() => reject(new Error(`the connection ended without an answer; so far: ${JSON.stringify(text)}`)))
      arrived()
    })
  return { socket, send: (bytes) => void socket.write(bytes), answer, closed, [Symbol.dispose]: () => void socket.destroy() }
}

/** Resolves with the code of the error that a new connection meets; rejects when it is accepted. */
export const refusedConnection = async (port: number): Promise<string | undefined> => {
  const socket = connect({ port, host: '127.0.0.1' })
  return new Promise((resolve, reject) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
    socket.once('connect', () => {
      socket.destroy()
      reject(new Error('a new connection was accepted'))
    })
  })
}
