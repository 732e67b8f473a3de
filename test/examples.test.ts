import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { ask, type Answer } from './support/attack.ts'
import { within } from './support/deadline.ts'

const program = join(import.meta.dirname, '../examples/limits.ts')
const env = { PATH: process.env['PATH'] ?? '' }

/** The example as somebody runs it, on a free port. */
const startExample = async () => {
  const child = spawn(process.execPath, [program], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  const port = new Promise<number>((resolve, reject) => {
    createInterface(child.stdout).on('line', (line) => {
      lines.push(line)
      const url = /^listens on (\S+)$/.exec(line)?.[1]
      if (url !== undefined) resolve(Number(new URL(url).port))
    })
    child.once('exit', () => reject(new Error('the example ended before it listened')))
  })
  const end = async (): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
    return child.exitCode
  }
  return { port: await within(10_000, 'the example starts', port), lines, end }
}

const example = await startExample()
after(() => example.end())

const many = (count: number, target: string, from: string): Promise<Answer[]> =>
  Promise.all(Array.from({ length: count }, () => ask(example, { target, from })))
const statuses = (answers: readonly Answer[]): number[] => answers.map(({ status }) => status).toSorted((a, b) => a - b)

test('examples/limits.ts: 20 at once, and 5 are let in; no address is free of the total', async () => {
  const from = '127.0.0.21'
  const answers = await many(20, '/', from)
  const refused = answers.filter(({ status }) => status === 429)
  assert.equal(refused.length, 15)
  for (const answer of refused) assert.deepEqual(answer.json()['violated-policies'], ['10-seconds'])
  // 20 of the 60 are gone.
  assert.equal(statuses(await many(50, '/no-such-page', from)).filter((status) => status === 404).length, 40)
  assert.deepEqual(statuses(await many(6, '/', '127.0.0.22')), [200, 200, 200, 200, 200, 429])
})

test('examples/limits.ts: 10 at once where 2 a second begin: one at once, two wait, and refusals burn nothing', async () => {
  const from = '127.0.0.23'
  const answers = await many(10, '/slowly', from)
  assert.deepEqual(statuses(answers), [200, 200, 200, ...Array.from({ length: 7 }, () => 429)])
  const begun = answers
    .filter(({ status }) => status === 200)
    .map((answer) => Number(answer.json()['at']))
    .toSorted((a, b) => a - b)
  for (const [i, at] of begun.slice(1).entries()) assert.ok(at - begun[i]! >= 450, `began at ${begun.join(', ')}`)
  const last = await ask(example, { target: '/slowly', from })
  assert.match(last.field('ratelimit') ?? '', /^"minute";r=26;/, '3 and this one of 30')
})

test('examples/limits.ts: 8 long ones at once, and 5 are answered', async () => {
  const answers = await many(8, '/long', '127.0.0.24')
  assert.deepEqual(statuses(answers), [200, 200, 200, 200, 200, 429, 429, 429])
  for (const answer of answers.filter(({ status }) => status === 429)) assert.deepEqual(answer.json()['violated-policies'], ['concurrency'])
})

test('examples/limits.ts: every refusal was told of, and it ends when it is told to', async () => {
  assert.equal(await example.end(), 0)
  const policies = example.lines.slice(1).map((line) => String((JSON.parse(line) as Record<string, unknown>)['policy']))
  assert.deepEqual([...new Set(policies)].toSorted(), ['GET /', 'concurrency', 'throttle', 'total'])
})
