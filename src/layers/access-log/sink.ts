import pino from 'pino'

/** Where log lines go; each line ends in a newline. */
export interface LogSink {
  write(line: string): void
  /** Returns when everything written so far is with the operating system. */
  flush(): void
}

/**
 * Lines to a file descriptor, gathered into blocks and written off the hot path at least every 100 ms, so a SIGKILL loses at most that.
 * When the reader of a pipe is gone or blocked, at most 16 MiB wait and the rest is dropped: the API goes on.
 */
export const openLogSink = (fileDescriptor: number): LogSink => {
  const destination = pino.destination({ dest: fileDescriptor, sync: false, minLength: 64 * 1024, maxWrite: 256 * 1024, maxLength: 16 * 1024 * 1024, periodicFlush: 100 })
  // EPIPE and the like must not end the process; there is no place left to report them to.
  destination.on('error', () => undefined)
  const flush = (): void => {
    try {
      destination.flushSync()
    } catch {
      // Not open yet, or the reader is gone.
    }
  }
  process.on('exit', flush)
  return { write: (line) => void destination.write(line), flush }
}
