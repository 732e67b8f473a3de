import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { type Config, ConfigError, loadConfig } from '../config.ts'

const load = (toml: string, env: Readonly<Record<string, string>> = {}): Config => {
  const folder = mkdtempSync(join(tmpdir(), 'filmgate-config-'))
  try {
    writeFileSync(join(folder, 'filmgate.toml'), toml)
    return loadConfig({ env, cwd: folder, checkLimits: () => undefined })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const mistakesOf = (toml: string, env?: Readonly<Record<string, string>>): string => {
  try {
    load(toml, env)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return ''
}

test('[monitor] enforces by default, and allows nobody', () => {
  const { monitor } = load('')
  assert.deepEqual([monitor.mode, monitor.allow, monitor.rules], ['enforce', [], {}])
})

test('[monitor.rules] says of single rules what becomes of them; anything else is refused with its line', () => {
  const { monitor } = load('[monitor.rules]\n"vote-stuffing" = "observe"\npath-probing = "off"\n')
  assert.deepEqual(monitor.rules, { 'vote-stuffing': 'observe', 'path-probing': 'off' })
  assert.match(mistakesOf('[monitor.rules]\n"vote-stuffing" = "maybe"\n'), /toml:2.*must be "enforce", "observe" or "off"/)
  assert.match(mistakesOf('[monitor.rules]\n"vote-stuffing" = true\n'), /toml:2.*must be "enforce", "observe" or "off"/)
  assert.match(mistakesOf('[monitor.rules]\n"Vote Stuffing" = "off"\n'), /toml:2.*must be the name of a rule/)
  assert.match(mistakesOf('[monitor]\nrules = 1\n'), /must be a table of rules/)
})

test('monitor.allow names networks, and never everybody', () => {
  assert.deepEqual(load('', { FILMGATE_MONITOR_ALLOW: '192.0.2.0/24,2001:db8::/32' }).monitor.allow, ['192.0.2.0/24', '2001:db8::/32'])
  assert.match(mistakesOf('[monitor]\nallow = ["0.0.0.0/0"]\n'), /would spare everybody/)
  assert.match(mistakesOf('[monitor]\nallow = ["192.0.2.7"]\n'), /write it as a network, with \/32/)
  assert.match(mistakesOf('[monitor]\nallow = ["192.0.2.7/24"]\n'), /has bits set after the prefix/)
})

test('a misspelt key of [monitor] is named with the nearest one', () => {
  assert.match(mistakesOf('[monitor]\nmodes = "observe"\n'), /nearest is monitor\.mode/)
  assert.match(mistakesOf('[monitor]\nmode = "off"\n'), /monitor\.mode/)
})
