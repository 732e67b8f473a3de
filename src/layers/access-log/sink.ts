import { constants, fstatSync, openSync, writeSync } from 'node:fs'

/** Where log lines go; each line ends in a newline. */
export interface LogSink {
  write(line: string): void
  /** Hands everything to the operating system, in order; waits at most a second for a reader that does not read. */
  flush(): void
}

export interface OpenLogSink extends LogSink {
  /** Gives the operating system what it takes now, as happens every 100 ms anyway. */
  passOn(): void
  /** Lines that nobody will ever read, since the start: there was no room to wait for their reader, or there was no reader. */
  readonly droppedLines: number
  readonly droppedBytes: number
  /** Whether something was lost and the log has not been able to say so yet, or its reader took nothing for a second. */
  readonly isFailing: boolean
}

/** Large enough that a system call is shared by many lines. */
const blockBytes = 64 * 1024
/** What may wait for a reader that is slow; the rest is dropped, because the API goes on. */
const maxBacklogBytes = 16 * 1024 * 1024
/** How old a line may get before it is with the operating system: what a SIGKILL can lose. */
const flushIntervalMs = 100
const flushDeadlineMs = 1000
/** A pipe holds a block: a reader that reads again gets what waits as fast as it takes it, not a block every 100 ms. */
const catchUpMs = 5
/** A reader that takes nothing for so long is no longer only slow. */
const stuckMs = 1000

/**
 * Lines to a file descriptor, in blocks of 64 KiB or every 100 ms. Writes are synchronous, so they keep their order up to the last moment of
 * the process, yet never wait: pipes and terminals are written without blocking, and what they do not take now is tried again later.
 */
export const openLogSink = (fileDescriptor: number): OpenLogSink => {
  const sink = new DescriptorSink(withoutBlocking(fileDescriptor))
  let sooner: NodeJS.Timeout | undefined
  const passOn = (): void => {
    sink.passOn()
    if (sink.isCatchingUp) sooner ??= setTimeout(again, catchUpMs).unref()
  }
  const again = (): void => {
    sooner = undefined
    passOn()
  }
  setInterval(passOn, flushIntervalMs).unref()
  process.on('exit', () => sink.flush())
  return sink
}

class DescriptorSink implements OpenLogSink {
  readonly #fileDescriptor: number
  readonly #block = Buffer.allocUnsafe(blockBytes)
  #used = 0
  #backlog: Buffer[] = []
  #backlogBytes = 0
  /** When the reader last took something; undefined while nothing waits for it. */
  #waitingSinceMs: number | undefined
  #isGone = false
  #madeProgress = false
  #untoldLines = 0
  #untoldBytes = 0
  droppedLines = 0
  droppedBytes = 0

  constructor(fileDescriptor: number) {
    this.#fileDescriptor = fileDescriptor
  }

  get isCatchingUp(): boolean {
    return this.#madeProgress && this.#backlog.length > 0
  }

  get isFailing(): boolean {
    return this.#untoldLines > 0 || (this.#waitingSinceMs !== undefined && performance.now() - this.#waitingSinceMs > stuckMs)
  }

  write(line: string): void {
    // A UTF-16 unit is at most three bytes of UTF-8.
    const most = line.length * 3
    if (this.#used + most > blockBytes) this.passOn()
    if (most <= blockBytes) this.#used += this.#block.write(line, this.#used)
    else this.#send(Buffer.from(line))
  }

  passOn(): void {
    const block = this.#block.subarray(0, this.#used)
    this.#used = 0
    this.#send(block)
  }

  flush(): void {
    const deadline = performance.now() + flushDeadlineMs
    this.passOn()
    while (this.#backlog.length > 0 && performance.now() < deadline) {
      // The last moments of the process: nothing else is left to do while the reader catches up.
      Atomics.wait(sleeper, 0, 0, 5)
      this.#drain()
    }
  }

  /** The order of the log is kept: nothing goes past what waits. */
  #send(bytes: Buffer): void {
    this.#drain()
    const taken = this.#backlog.length > 0 ? 0 : this.#tryWrite(bytes)
    if (taken === bytes.length) return
    const rest = bytes.subarray(taken)
    if (this.#backlogBytes + rest.length > maxBacklogBytes) this.#drop(rest)
    else this.#wait(rest)
  }

  #wait(bytes: Buffer): void {
    this.#backlog.push(Buffer.from(bytes))
    this.#backlogBytes += bytes.length
    this.#waitingSinceMs ??= performance.now()
  }

  #drain(): void {
    this.#madeProgress = false
    for (let first = this.#backlog[0]; first !== undefined; first = this.#backlog[0]) {
      const taken = this.#tryWrite(first)
      this.#backlogBytes -= taken
      if (taken > 0) {
        this.#madeProgress = true
        this.#waitingSinceMs = performance.now()
      }
      if (taken < first.length) {
        this.#backlog[0] = first.subarray(taken)
        return
      }
      this.#backlog.shift()
    }
    this.#waitingSinceMs = undefined
    if (this.#untoldLines > 0) this.#tellDropped()
  }

  #drop(bytes: Buffer): void {
    const lines = countLines(bytes)
    this.#untoldLines += lines
    this.#untoldBytes += bytes.length
    this.droppedLines += lines
    this.droppedBytes += bytes.length
  }

  /** As soon as there is room again: a log with a hole must say so. */
  #tellDropped(): void {
    const lost = `"lines":${this.#untoldLines},"bytes":${this.#untoldBytes}`
    const note = Buffer.from(`{"time":"${new Date().toISOString()}","level":"error","msg":"log lines were dropped",${lost}}\n`)
    const taken = this.#writeSome(note)
    if (taken === 0) return
    this.#untoldLines = 0
    this.#untoldBytes = 0
    if (taken < note.length) this.#wait(note.subarray(taken))
  }

  /** How many bytes are dealt with. A reader that is gone takes everything, for waiting would not bring it back. */
  #tryWrite(bytes: Buffer): number {
    const taken = this.#writeSome(bytes)
    if (!this.#isGone) return taken
    this.#drop(bytes.subarray(taken))
    return bytes.length
  }

  /** How many bytes the operating system took. */
  #writeSome(bytes: Buffer): number {
    let taken = 0
    this.#isGone = false
    try {
      while (taken < bytes.length) taken += writeSync(this.#fileDescriptor, bytes, taken)
    } catch (error) {
      this.#isGone = !waitable.has((error as NodeJS.ErrnoException).code ?? '')
    }
    return taken
  }
}

const newline = 0x0a

const countLines = (bytes: Buffer): number => {
  let lines = 0
  for (let at = bytes.indexOf(newline); at !== -1; at = bytes.indexOf(newline, at + 1)) lines++
  return lines
}

/** Full pipe, full disk, a file at its limit: later there may be room. */
const waitable: ReadonlySet<string> = new Set(['EAGAIN', 'EINTR', 'ENOSPC', 'EDQUOT', 'EFBIG'])

const sleeper = new Int32Array(new SharedArrayBuffer(4))

/**
 * A pipe or terminal opened anew, so that only we write to it without blocking: the flag belongs to the open file, which other processes
 * share. A regular file never blocks for long and must keep its shared offset; where there is no /proc the descriptor is used as it is.
 */
const withoutBlocking = (fileDescriptor: number): number => {
  try {
    if (fstatSync(fileDescriptor).isFile()) return fileDescriptor
    return openSync(`/proc/self/fd/${fileDescriptor}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_APPEND)
  } catch {
    return fileDescriptor
  }
}
