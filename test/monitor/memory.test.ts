import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import type { Flood } from '../support/monitor-flood.ts'

test('attack: a million clients with wrong paths take less than 200 MB, and do not make the monitor forget who was there before', () => {
  const program = fileURLToPath(new URL('../support/monitor-flood.ts', import.meta.url))
  const printed = execFileSync(process.execPath, ['--expose-gc', program], { encoding: 'utf8', timeout: 300_000 })
  const { tracked, megabytes, isAttackerKnown } = JSON.parse(printed) as Flood
  assert.ok(tracked >= 1_000_000, `${tracked} buckets`)
  assert.ok(megabytes < 200, `${megabytes.toFixed(0)} MB`)
  assert.ok(isAttackerKnown)
})
