import { connect } from 'node:net'

export interface RawAnswer {
  /** Undefined where the connection ended without an answer. */
  readonly status: number | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Everything that came, several answers included. */
  readonly text: string
}

export interface RawOptions {
  /** Ends our side after sending; otherwise the server must end the connection or `until` be met. */
  readonly end?: boolean
  /** Stops reading when what came so far fits. */
  readonly until?: RegExp
  readonly timeoutMs?: number
}

/** Sends bytes as they are and reads until the server ends the connection: for what no HTTP client would send. */
export const sendRaw = (port: number, bytes: string | Buffer, options: RawOptions = {}): Promise<RawAnswer> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' })
    let text = ''
    const finish = (): void => {
      socket.destroy()
      resolve(parseAnswer(text))
    }
    socket.setTimeout(options.timeoutMs ?? 15_000, () => {
      socket.destroy()
      reject(new Error(`no end within the time; so far: ${JSON.stringify(text.slice(0, 300))}`))
    })
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      text += chunk
      if (options.until?.test(text)) finish()
    })
    socket.on('close', finish)
    socket.on('error', () => undefined)
    socket.write(bytes)
    if (options.end) socket.end()
  })

export const parseAnswer = (text: string): RawAnswer => {
  const [head = '', ...rest] = text.split('\r\n\r\n')
  const [first = '', ...lines] = head.split('\r\n')
  const status = /^HTTP\/1\.1 (\d{3})/.exec(first)?.[1]
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  )
  return { status: status === undefined ? undefined : Number(status), headers, body: rest.join('\r\n\r\n'), text }
}
