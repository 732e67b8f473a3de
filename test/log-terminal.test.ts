import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { ask } from './support/attack.ts'
import { temporaryFolder } from './support/command.ts'
import { eventually } from './support/deadline.ts'

const noTerminal = existsSync('/usr/bin/script') ? false : 'script of util-linux is not installed'

/** What a terminal acts on, line ends and our own colours apart. */
const acted = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u
const colours = new RegExp(String.fromCharCode(0x1b) + String.raw`\[(?:3[1-6]|9\d|39)m`, 'g')

/** Standard output and standard error of the program on a terminal of its own, until it is ended. */
const onTerminal = async (env: Readonly<Record<string, string>>, use: (port: number) => Promise<void>): Promise<string> => {
  using folder = temporaryFolder()
  const command = [process.execPath, join(import.meta.dirname, '../src/main.ts'), 'serve'].map((part) => `'${part}'`).join(' ')
  const terminal = spawn('script', ['-qefc', `echo PID $$; exec ${command}`, '/dev/null'], {
    cwd: folder.path,
    env: {
      PATH: process.env['PATH'],
      TERM: 'xterm-256color',
      FILMGATE_LOG_FORMAT: 'pretty',
      FILMGATE_SERVER_PORT: '0',
      FILMGATE_OPS_PORT: '0',
      FILMGATE_DATA_DIR: join(folder.path, 'data'),
      ...env,
    },
  })
  let shown = ''
  terminal.stdout.setEncoding('utf8').on('data', (text: string) => (shown += text))
  const ended = once(terminal, 'close')
  const port = (): number => Number(/listens on http:\/\/[^:]+:(\d+)/.exec(shown)?.[1] ?? 0)
  try {
    await eventually(30_000, 'it listens', () => port() !== 0)
    await use(port())
  } finally {
    process.kill(Number(/PID (\d+)/.exec(shown)?.[1]), 'SIGTERM')
    await ended
  }
  return shown.replaceAll('\r\n', '\n')
}

const attack = {
  target: `/${encodeURIComponent('\u001b[2J')}"\\`,
  fields: { 'User-Agent': '\u009b2J\u009b31mred'.repeat(100), 'X-Request-Id': '\u0085', Host: 'localhost' },
}

test(
  '[ASVS 16.4.1] pretty on a terminal: a coloured line for each request, and nothing that a client sends acts on it',
  { skip: noTerminal },
  async () => {
    const shown = await onTerminal({}, async (port) => {
      await ask({ port }, { target: '/v1/films/1' })
      await ask({ port }, attack)
      await ask({ port }, { fields: { Host: 'evil.example', Origin: 'https://\u009b31m.example' } })
    })
    const lines = shown.split('\n').filter((line) => /^\S*\d\d:\d\d:\d\d\.\d{3}/.test(line.replaceAll(colours, '')))
    assert.match(shown, colours)
    for (const line of lines) assert.doesNotMatch(line.replaceAll(colours, ''), acted)
    const requests = lines.map((line) => line.replaceAll(colours, '')).filter((line) => / GET /.test(line))
    assert.deepEqual(
      requests.map((line) => line.split(' ').slice(1, 4).join(' ')),
      ['200 GET /v1/films/1', String.raw`404 GET /%1B%5B2J\"\\`, '421 GET /v1/films/1'],
    )
  },
)

test('without colours where nobody wants any (NO_COLOR)', { skip: noTerminal }, async () => {
  const shown = await onTerminal({ NO_COLOR: '1' }, async (port) => void (await ask({ port })))
  assert.match(shown, /200 GET \/v1\/films\/1/)
  assert.doesNotMatch(shown, colours)
})
