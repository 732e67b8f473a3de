import assert from 'node:assert/strict'
import { isAbsolute } from 'node:path'
import { describe, test } from 'node:test'
import { describeConfig, reloadable } from '../config.ts'
import { devNames } from '../tls.ts'
import { assertMistakes, openConfigFolder } from '../../test/support/config-file.ts'

const { load, mistakes } = openConfigFolder()

const files = 'tls.mode = "files"\ntls.cert = "fullchain.pem"\ntls.key = "privkey.pem"\n'

describe('[tls]', () => {
  test('files are found from where the program started, and shown as they are used; only a restart changes them', () => {
    const { tls } = load(files)
    assert.ok(isAbsolute(tls.cert) && tls.cert.endsWith('/fullchain.pem'))
    const shown = describeConfig(load(files)).filter(({ key }) => key.startsWith('tls.'))
    assert.deepEqual(
      shown.map(({ key, value, origin }) => `${key} = ${value} ${origin}`),
      [
        'tls.mode = "files" filmgate.toml:1',
        `tls.cert = ${JSON.stringify(tls.cert)} filmgate.toml:2`,
        `tls.key = ${JSON.stringify(tls.key)} filmgate.toml:3`,
        'tls.redirect_port = 0 default',
      ],
    )
    const { ignored } = reloadable(load(files), load(files.replace('privkey', 'other')))
    assert.deepEqual(
      ignored.map(({ key }) => key),
      ['tls.key'],
    )
  })

  test('from the environment', () => {
    const { tls } = load('', {
      FILMGATE_TLS_MODE: 'files',
      FILMGATE_TLS_CERT: '/c.pem',
      FILMGATE_TLS_KEY: '/k.pem',
      FILMGATE_TLS_REDIRECT_PORT: '80',
    })
    assert.deepEqual(tls, { mode: 'files', cert: '/c.pem', key: '/k.pem', redirectPort: 80 })
  })

  const wrong: readonly (readonly [toml: string, ...told: RegExp[]])[] = [
    ['tls.mode = "files"', /^F:1: tls\.mode is "files", which needs tls\.cert/, /^F:1: tls\.mode is "files", which needs tls\.key/],
    ['tls.mode = "files"\ntls.cert = "c.pem"', /^F:1: tls\.mode is "files", which needs tls\.key/],
    ['tls.cert = "c.pem"', /^F:1: tls\.cert is set, but tls\.mode is "off"/],
    ['tls.mode = "dev"\ntls.key = "k.pem"', /^F:2: tls\.key is set, but tls\.mode is "dev"/],
    ['tls.redirect_port = 80', /^F:1: tls\.redirect_port redirects to HTTPS, but tls\.mode is "off"/],
    [
      'tls.mode = "dev"\ntls.redirect_port = 3000',
      /^F:2: tls\.redirect_port leaves server\.port and tls\.redirect_port the same port 3000/,
    ],
    ['tls.mode = "dev"\ntls.redirect_port = 3001', /^F:2: tls\.redirect_port leaves ops and the redirect to HTTPS the same port 3001/],
    [`${files}server.host = "192.0.2.7"\nops.host = "0.0.0.0"\ntls.redirect_port = 3001`, /tls\.redirect_port leaves ops and the redirect/],
    ['tls.mode = "dev"\nserver.public_url = "http://films.example"', /^F:2: server\.public_url begins with http, but tls\.mode is "dev"/],
    ['tls.mode = "dev"\nserver.host = "0.0.0.0"', /^F:2: server\.host is no address of a development certificate/],
    ['tls.mode = "dev"\nserver.host = "films.example"', /^F:2: server\.host is no address of a development certificate/],
    ['tls.mode = "dev"\nops.host = "::"', /^F:2: ops\.host is no address of a development certificate/],
    ['server.host = "0.0.0.0"', /^F:1: server\.host is not a loopback address.*tls\.mode = "files"/],
    ['ops.host = "10.0.0.7"', /^F:1: ops\.host is not a loopback address.*tls\.mode = "files"/],
  ]
  for (const [toml, ...told] of wrong) test(`refused: ${toml.replaceAll('\n', '; ')}`, () => assertMistakes(mistakes(toml), told))

  const right: readonly string[] = [
    'tls.mode = "dev"',
    'tls.mode = "dev"\nserver.host = "::1"\ntls.redirect_port = 8080',
    // Health is plain on loopback, whichever address of it.
    'tls.mode = "dev"\nops.host = "127.0.0.2"',
    `${files}server.host = "0.0.0.0"\nops.host = "0.0.0.0"\ntls.redirect_port = 80\nserver.port = 443`,
    `${files}server.host = "192.0.2.7"\nops.host = "192.0.2.8"\ntls.redirect_port = 3001`,
    `${files}server.public_url = "https://films.example"`,
  ]
  for (const toml of right) test(`taken: ${toml.replaceAll('\n', '; ')}`, () => assert.deepEqual(mistakes(toml), []))

  test('every name of a development certificate can be listened on in that mode, and no other', () => {
    for (const host of devNames) assert.deepEqual(mistakes(`tls.mode = "dev"\nserver.host = "${host}"`), [], host)
  })
})
