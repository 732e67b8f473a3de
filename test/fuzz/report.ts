import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { type Case, type Secrets, unfilled } from './case.ts'
import type { Failure } from './run.ts'

const byteLines = (bytes: Buffer): readonly string[] =>
  Array.from({ length: Math.ceil(bytes.length / 16) }, (_, i) => {
    const row = bytes.subarray(i * 16, i * 16 + 16)
    const digits = [...row].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    const text = row.toString('latin1').replaceAll(/[^\x20-\x7e]/g, '.')
    return `${(i * 16).toString(16).padStart(8, '0')}  ${digits.padEnd(48)} |${text}|`
  })

/** Writes what is needed to look at a case and to run it again; returns the name of the file. */
export const writeCase = (folder: string, seed: number, { one, heard, faults, lines }: Failure, secrets: Secrets): string => {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${one.protocol}-${seed}-${one.number}.txt`)
  const bytes = unfilled(one.bytes, secrets)
  const { number, protocol, cuts, ending, origin } = one
  const text = [
    `case ${JSON.stringify({ seed, number, protocol, cuts, ending, origin })}`,
    ...faults.map((fault) => `fault ${fault}`),
    ...lines.map((line) => `log ${JSON.stringify(line)}`),
    `sent ${bytes.length} bytes`,
    ...byteLines(bytes),
    `received ${heard.length} bytes`,
    ...byteLines(heard.subarray(0, 20_000)),
  ]
  writeFileSync(file, `${text.join('\n')}\n`)
  return file
}

/** What `writeCase` wrote. */
export const readCase = (file: string): { readonly seed: number; readonly one: Case } => {
  const [head = '', ...lines] = readFileSync(file, 'utf8').split('\n')
  const { seed, ...known } = JSON.parse(head.replace(/^case /, '')) as Omit<Case, 'bytes'> & { readonly seed: number }
  const start = lines.findIndex((line) => line.startsWith('sent ')) + 1
  const end = lines.findIndex((line) => line.startsWith('received '))
  const digits = lines.slice(start, end).map((line) => line.slice(10, 58).replaceAll(' ', ''))
  return { seed, one: { ...known, bytes: Buffer.from(digits.join(''), 'hex') } }
}
