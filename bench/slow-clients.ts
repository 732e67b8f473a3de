/**
 * Connections that are as slow as a server lets them be, from many loopback addresses, so that no cap of one client ends it early: headers that
 * trickle, bodies that trickle, answers that are not read, and keep-alive that says nothing. Whoever is cut comes again.
 * Prints a line when all are open, and a summary at the end. argv: port, connections, seconds
 */
import { connect, type Socket } from 'node:net'

export interface SlowSummary {
  /** Open at once, looked at twice a second. */
  readonly leastHeld: number
  readonly cut: number
}

const [port = 0, wanted = 0, seconds = 0] = process.argv.slice(2).map(Number)
const perAddress = 50
const trickleMs = 1000

const startOf = (method: string, path: string): string => `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n`

/** What each says at first, and then every second. */
const kinds = [
  { first: startOf('GET', '/'), more: 'x-slow: 1\r\n', reads: true },
  {
    first: `${startOf('POST', '/v1/auth/login')}Content-Type: application/json\r\nContent-Length: 4000\r\n\r\n{`,
    more: ' ',
    reads: true,
  },
  { first: `${startOf('GET', '/openapi.json')}\r\n`.repeat(8), more: '', reads: false },
  { first: `${startOf('GET', '/')}\r\n`, more: '', reads: true },
] as const

const open = new Set<Socket>()
let cut = 0
let ending = false

function begin(index: number): void {
  if (ending) return
  const kind = kinds[index % kinds.length] ?? kinds[0]
  const place = Math.floor(index / perAddress) + 2
  const socket = connect({ port, host: '127.0.0.1', localAddress: `127.0.${place >> 8}.${place & 255}` })
  const trickle = setInterval(() => {
    if (kind.more !== '' && socket.writable) socket.write(kind.more)
  }, trickleMs)
  socket.on('error', () => undefined)
  socket.on('connect', () => {
    open.add(socket)
    socket.write(kind.first)
    if (kind.reads) socket.resume()
  })
  socket.on('close', () => {
    clearInterval(trickle)
    open.delete(socket)
    cut += 1
    setTimeout(begin, 100, index)
  })
  // Nobody hears the end of what is not read.
  if (!kind.reads) socket.pause()
}

for (let i = 0; i < wanted; i++) setTimeout(begin, (i * 1000) / wanted, i)

let leastHeld = Number.POSITIVE_INFINITY
let ready = false
const watch = setInterval(() => {
  if (!ready && open.size >= wanted * 0.97) {
    ready = true
    cut = 0
    console.log('HELD')
    setTimeout(finish, seconds * 1000)
  }
  if (ready) leastHeld = Math.min(leastHeld, open.size)
}, 500)
const tooLate = setTimeout(finish, (seconds + 30) * 1000)

function finish(): void {
  ending = true
  clearInterval(watch)
  clearTimeout(tooLate)
  console.log(`SUMMARY ${JSON.stringify({ leastHeld: ready ? leastHeld : 0, cut } satisfies SlowSummary)}`)
  process.exit(0)
}
