import type { FileHandle } from 'node:fs/promises'

/** A line of a file, without its line end. Its bytes are good until the next block is asked for. */
export interface Line {
  /** From 1. */
  readonly number: number
  /** Undefined where the line is longer than `maxLineBytes`. */
  readonly bytes: Buffer | undefined
  /** Whether a line end follows. A last line without one may be whole or cut in half. */
  readonly ended: boolean
}

/** Far more than a film needs; a file of another kind (one endless line) must not fill the memory. */
export const maxLineBytes = 65_536

const blockBytes = 1_048_576
const newline = 0x0a
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf])

/**
 * The lines of a file, a block of them at a time, from its beginning whatever was read of it before. Ends of lines are LF or CRLF (the CR
 * stays: it is white space to JSON). Blank lines are left out but counted; a UTF-8 byte order mark at the beginning is skipped.
 */
export async function* readLines(file: FileHandle): AsyncGenerator<readonly Line[]> {
  const buffer = Buffer.allocUnsafe(blockBytes)
  let number = 1
  /** Bytes of a line that is not complete, at the beginning of the buffer. */
  let kept = 0
  /** Within a line that is too long already: its bytes are dropped up to its end. */
  let dropping = false
  for (let position = 0; ;) {
    const { bytesRead } = await file.read(buffer, kept, blockBytes - kept, position)
    const end = kept + bytesRead
    const lines: Line[] = []
    let start = position === 0 && buffer.subarray(0, Math.min(end, 3)).equals(byteOrderMark) ? 3 : 0
    const push = (at: number, ended: boolean): void => {
      if (dropping || at - start > maxLineBytes) lines.push({ number, bytes: undefined, ended })
      else if (!isBlank(buffer, start, at)) lines.push({ number, bytes: buffer.subarray(start, at), ended })
      dropping = false
    }
    const block = buffer.subarray(0, end)
    for (let at = block.indexOf(newline, start); at !== -1; at = block.indexOf(newline, start)) {
      push(at, true)
      number++
      start = at + 1
    }
    if (bytesRead === 0) push(end, false)
    if (lines.length > 0) yield lines
    if (bytesRead === 0) return
    position += bytesRead
    dropping ||= end - start > maxLineBytes
    kept = dropping ? 0 : end - start
    buffer.copyWithin(0, start, start + kept)
  }
}

const isBlank = (bytes: Buffer, start: number, end: number): boolean => {
  for (let i = start; i < end; i++) {
    const byte = bytes[i]
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) return false
  }
  return true
}
