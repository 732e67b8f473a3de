import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'

import { type Answer, ask } from './support/attack.ts'
import { within } from './support/deadline.ts'

/** The example as somebody runs it, on a free port. */
const startExample = async (mode: 'enforce' | 'observe') => {
  const env = { PATH: process.env['PATH'] ?? '', MODE: mode }
  const child = spawn(process.execPath, [join(import.meta.dirname, '../examples/monitor.ts')], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  const port = new Promise<number>((resolve, reject) => {
    createInterface(child.stdout).on('line', (line) => {
      lines.push(line)
      const url = /^listens on (\S+)$/.exec(line)?.[1]
      if (url !== undefined) resolve(Number(new URL(url).port))
    })
    child.once('exit', () => reject(new Error('the example ended before it listened')))
  })
  const end = async (): Promise<void> => {
    child.kill('SIGTERM')
    await once(child, 'close')
  }
  const decided = () => lines.filter((line) => line.includes('"decision_created"')).map((line) => JSON.parse(line) as { rule: string })
  return { port: await within(20_000, 'the example starts', port), decided, [Symbol.asyncDispose]: end }
}

/** Until one is refused: what a request leads to holds from the next one on, which may already be on its way. */
const guess = async (example: { readonly port: number }, from: string, most: number): Promise<readonly Answer[]> => {
  const answers: Answer[] = []
  for (let i = 0; i < most && answers.at(-1)?.status !== 429; i++) answers.push(await ask(example, { target: `/coupons/guess-${i}`, from }))
  return answers
}

test('examples/monitor.ts: whoever guesses coupons is banned by the own rule, and nobody else', async () => {
  await using example = await startExample('enforce')
  const answers = await guess(example, '127.0.0.41', 20)
  const last = answers.at(-1)
  assert.ok(last)
  assert.equal(last.status, 429)
  assert.ok(answers.length >= 11 && answers.length <= 13, `banned after ${answers.length - 1} guesses`)
  assert.equal(last.json()['code'], 'abnormal_usage_detected')
  assert.doesNotMatch(last.body, /coupon-guessing/)
  assert.equal((await ask(example, { target: '/coupons/welcome', from: '127.0.0.41' })).status, 429)
  assert.equal((await ask(example, { target: '/coupons/welcome', from: '127.0.0.42' })).status, 200)
  assert.deepEqual(
    example.decided().map(({ rule }) => rule),
    ['coupon-guessing'],
  )
})

test('examples/monitor.ts: an honest guest who mistypes one coupon again and again is never banned', async () => {
  await using example = await startExample('enforce')
  for (let i = 0; i < 40; i++) assert.equal((await ask(example, { target: '/coupons/wellcome', from: '127.0.0.43' })).status, 404)
  assert.deepEqual(example.decided(), [])
})

test('examples/monitor.ts: observed, the decision is told of and nobody is refused', async () => {
  await using example = await startExample('observe')
  const answers = await guess(example, '127.0.0.44', 20)
  assert.ok(answers.every(({ status }) => status === 404))
  assert.ok(example.decided().some(({ rule }) => rule === 'coupon-guessing'))
})
