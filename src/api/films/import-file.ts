import type { FileHandle } from 'node:fs/promises'

/** A file that cannot be films, whatever its lines hold. */
export class ForeignFileError extends Error {
  override readonly name = 'ForeignFileError'
}

/** What files of other kinds begin with, and what to do with them. */
const kinds: readonly { readonly begins: readonly number[]; readonly message: string }[] = [
  { begins: [0x1f, 0x8b], message: 'it is gzip; unpack it first: gunzip -c FILE | filmgate films import -' },
  { begins: [0x28, 0xb5, 0x2f, 0xfd], message: 'it is zstd; unpack it first: zstdcat FILE | filmgate films import -' },
  { begins: [0xfd, 0x37, 0x7a, 0x58, 0x5a], message: 'it is xz; unpack it first: xzcat FILE | filmgate films import -' },
  { begins: [0x42, 0x5a, 0x68], message: 'it is bzip2; unpack it first: bzcat FILE | filmgate films import -' },
  { begins: [0x50, 0x4b, 0x03, 0x04], message: 'it is a zip archive; unpack it first: unzip -p FILE | filmgate films import -' },
  {
    begins: [0xff, 0xfe, 0x00, 0x00],
    message: 'it is UTF-32, not UTF-8; convert it: iconv -f UTF-32 -t UTF-8 FILE | filmgate films import -',
  },
  {
    begins: [0x00, 0x00, 0xfe, 0xff],
    message: 'it is UTF-32, not UTF-8; convert it: iconv -f UTF-32 -t UTF-8 FILE | filmgate films import -',
  },
  { begins: [0xff, 0xfe], message: 'it is UTF-16, not UTF-8; convert it: iconv -f UTF-16 -t UTF-8 FILE | filmgate films import -' },
  { begins: [0xfe, 0xff], message: 'it is UTF-16, not UTF-8; convert it: iconv -f UTF-16 -t UTF-8 FILE | filmgate films import -' },
  { begins: [0x00, 0x7b], message: 'it is UTF-16, not UTF-8; convert it: iconv -f UTF-16BE -t UTF-8 FILE | filmgate films import -' },
  { begins: [0x7b, 0x00], message: 'it is UTF-16, not UTF-8; convert it: iconv -f UTF-16LE -t UTF-8 FILE | filmgate films import -' },
  { begins: [0x5b], message: "it is a JSON array; one film a line is needed: jq -c '.[]' FILE | filmgate films import -" },
]

/** Throws a ForeignFileError with what the file is and what makes films of it. */
export const refuseForeign = async (file: FileHandle): Promise<void> => {
  const head = Buffer.alloc(8)
  const { bytesRead } = await file.read(head, 0, head.length, 0)
  const kind = kinds.find(({ begins }) => begins.length <= bytesRead && begins.every((byte, i) => head[i] === byte))
  if (kind !== undefined) throw new ForeignFileError(kind.message)
}

/** Tells whether the file is the one that was checked: another size or another moment of its last change means that somebody wrote it. */
export const watchFile = async (file: FileHandle): Promise<() => Promise<boolean>> => {
  const before = await file.stat({ bigint: true })
  return async () => {
    const { size, mtimeNs } = await file.stat({ bigint: true })
    return size === before.size && mtimeNs === before.mtimeNs
  }
}
