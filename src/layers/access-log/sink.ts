import pino from 'pino'

/** Where log lines go; each line ends in a newline. */
export interface LogSink {
  write(line: string): void
  /** Returns when everything written so far is with the operating system. */
  flush(): void
}

const blockLength = 16 * 1024

/**
 * Lines to a file descriptor, gathered into blocks and written off the hot path at least every 100 ms, so a SIGKILL loses at most that.
 * When the reader of a pipe is gone or blocked, at most 16 MiB wait and the rest is dropped: the API goes on.
 */
export const openLogSink = (fileDescriptor: number): LogSink => {
  const destination = pino.destination({ dest: fileDescriptor, sync: false, maxLength: 16 * 1024 * 1024 })
  // EPIPE and the like must not end the process; there is no place left to report them to.
  destination.on('error', () => undefined)
  let block = ''
  const passOn = (): void => {
    if (block === '') return
    destination.write(block)
    block = ''
  }
  setInterval(passOn, 100).unref()
  const flush = (): void => {
    passOn()
    try {
      destination.flushSync()
    } catch {
      // Not open yet, or the reader is gone.
    }
  }
  process.on('exit', flush)
  return {
    write: (line) => {
      block += line
      if (block.length >= blockLength) passOn()
    },
    flush,
  }
}
