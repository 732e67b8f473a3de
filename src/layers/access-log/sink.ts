import { constants, fstatSync, openSync, writeSync } from 'node:fs'

/** Where log lines go; each line ends in a newline. */
export interface LogSink {
  write(line: string): void
  /** Hands everything to the operating system, in order; waits at most a second for a reader that does not read. */
  flush(): void
}

/** Large enough that a system call is shared by many lines. */
const blockBytes = 64 * 1024
/** What may wait for a reader that is slow; the rest is dropped, because the API goes on. */
const maxBacklogBytes = 16 * 1024 * 1024
/** How old a line may get before it is with the operating system: what a SIGKILL can lose. */
const flushIntervalMs = 100
const flushDeadlineMs = 1000

/**
 * Lines to a file descriptor, in blocks of 64 KiB or every 100 ms. Writes are synchronous, so they keep their order up to the last moment of
 * the process, yet never wait: pipes and terminals are written without blocking, and what they do not take now is tried again later.
 */
export const openLogSink = (fileDescriptor: number): LogSink => {
  const sink = new DescriptorSink(withoutBlocking(fileDescriptor))
  setInterval(() => sink.passOn(), flushIntervalMs).unref()
  process.on('exit', () => sink.flush())
  return sink
}

class DescriptorSink implements LogSink {
  readonly #fileDescriptor: number
  readonly #block = Buffer.allocUnsafe(blockBytes)
  #used = 0
  #backlog: Buffer[] = []
  #backlogBytes = 0
  #droppedBytes = 0

  constructor(fileDescriptor: number) {
    this.#fileDescriptor = fileDescriptor
  }

  write(line: string): void {
    // A UTF-16 unit is at most three bytes of UTF-8.
    const most = line.length * 3
    if (this.#used + most > blockBytes) this.passOn()
    if (most <= blockBytes) this.#used += this.#block.write(line, this.#used)
    else this.#send(Buffer.from(line))
  }

  /** Gives the operating system what it takes now. */
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

  #send(bytes: Buffer): void {
    this.#drain()
    const taken = this.#backlog.length > 0 ? 0 : this.#tryWrite(bytes)
    const rest = bytes.length - taken
    if (rest === 0) return
    if (this.#backlogBytes + rest > maxBacklogBytes) {
      this.#droppedBytes += rest
      return
    }
    this.#backlog.push(Buffer.from(bytes.subarray(taken)))
    this.#backlogBytes += rest
  }

  #drain(): void {
    for (let first = this.#backlog[0]; first !== undefined; first = this.#backlog[0]) {
      const taken = this.#tryWrite(first)
      this.#backlogBytes -= taken
      if (taken < first.length) {
        this.#backlog[0] = first.subarray(taken)
        return
      }
      this.#backlog.shift()
    }
    this.#tellDropped()
  }

  /** As soon as there is room again: a log with a hole must say so. */
  #tellDropped(): void {
    if (this.#droppedBytes === 0) return
    const line = `{"time":"${new Date().toISOString()}","level":"error","msg":"log lines were dropped","bytes":${this.#droppedBytes}}\n`
    this.#droppedBytes = 0
    this.#tryWrite(Buffer.from(line))
  }

  /** How many bytes are dealt with. A reader that is gone takes everything: there is no place left to report that to. */
  #tryWrite(bytes: Buffer): number {
    let taken = 0
    try {
      while (taken < bytes.length) taken += writeSync(this.#fileDescriptor, bytes, taken)
      return taken
    } catch (error) {
      return waitable.has((error as NodeJS.ErrnoException).code ?? '') ? taken : bytes.length
    }
  }
}

/** Full pipe, full disk: later there may be room. */
const waitable: ReadonlySet<string> = new Set(['EAGAIN', 'EINTR', 'ENOSPC', 'EDQUOT'])

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
