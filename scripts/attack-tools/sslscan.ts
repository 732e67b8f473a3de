import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Finding } from './finding.ts'
import { runTool } from './run-tool.ts'
import type { Tool } from './target.ts'

type Heard = Omit<Finding, 'tool'>

/** The attributes of each element of that name; sslscan's elements do not nest within their like. */
const elements = (xml: string, name: string): Readonly<Record<string, string>>[] =>
  [...xml.matchAll(new RegExp(`<${name}\\s([^>]*?)/?>`, 'g'))].map(([, attributes = '']) =>
    Object.fromEntries([...attributes.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, key = '', value = '']) => [key, value])),
  )

const content = (xml: string, name: string): string => new RegExp(`<${name}>(.*?)</${name}>`, 's').exec(xml)?.[1] ?? ''

/** Encrypts and authenticates in one (RFC 9325 section 4.2), and the key of a session is nobody's afterwards. */
const isModern = (cipher: string): boolean =>
  /^TLS_(AES_(128|256)_GCM|CHACHA20_POLY1305)_SHA\d+$/.test(cipher) || /^(ECDHE|DHE)-(ECDSA|RSA)-.*(GCM|CHACHA20)/.test(cipher)

/** What is not as it should be in the XML of sslscan 2: everything that it lists is judged, and what it did not test is a finding, too. */
export const parseSslscan = (xml: string): Heard[] => {
  const found: Heard[] = []
  const say = (id: string, where: string, text: string): void => void found.push({ id, where, text })
  const protocols = elements(xml, 'protocol').map(({ type, version, enabled }) => ({ name: `${type} ${version}`, on: enabled === '1' }))
  for (const name of ['ssl 2', 'ssl 3', 'tls 1.0', 'tls 1.1', 'tls 1.2', 'tls 1.3'])
    if (!protocols.some((one) => one.name === name)) say('not tested', name, 'sslscan says nothing of this protocol')
  for (const { name, on } of protocols) {
    if (on && !/^tls 1\.[23]$/.test(name)) say('protocol', name, 'an old protocol is spoken')
    if (!on && name === 'tls 1.3') say('protocol', name, 'the best protocol is not spoken')
  }
  const ciphers = elements(xml, 'cipher')
  if (ciphers.length === 0) say('not tested', 'ciphers', 'sslscan lists no cipher suite')
  for (const { sslversion = '', cipher = '', bits } of ciphers)
    if (!isModern(cipher) || Number(bits) < 128) say('cipher', `${sslversion} ${cipher}`, `${bits} bits, or no AEAD, or no forward secrecy`)
  for (const { sslversion = '', name = '', bits } of elements(xml, 'group')) {
    if (Number(bits) < 128) say('group', `${sslversion} ${name}`, `as strong as ${bits} bits`)
    // Whoever asks for one costs the server many times his own work: CVE-2002-20001, CVE-2022-40735.
    else if (name.startsWith('ffdhe')) say('group', `${sslversion} ${name}`, 'a key exchange that costs the server more than the client')
  }
  for (const { sslversion = '', vulnerable } of elements(xml, 'heartbleed'))
    if (vulnerable !== '0') say('heartbleed', sslversion, 'vulnerable')
  for (const { supported } of elements(xml, 'compression')) if (supported !== '0') say('compression', '', 'CRIME')
  for (const { supported } of elements(xml, 'renegotiation')) if (supported !== '0') say('renegotiation', '', 'a client may renegotiate')
  if (elements(xml, 'heartbleed').length === 0 || elements(xml, 'renegotiation').length === 0)
    say('not tested', 'heartbleed and renegotiation', 'sslscan says nothing of them')
  if (!/^(ecdsa-with-SHA(256|384|512)|sha(256|384|512)WithRSAEncryption)$/.test(content(xml, 'signature-algorithm')))
    say('certificate', 'signature', content(xml, 'signature-algorithm'))
  if (content(xml, 'self-signed') !== 'false') say('certificate', 'self-signed', content(xml, 'self-signed'))
  if (content(xml, 'expired') !== 'false') say('certificate', 'expired', content(xml, 'expired'))
  return found
}

export const sslscan: Tool = {
  name: 'sslscan',
  program: 'sslscan',
  debian: 'sslscan',
  plants: [/^protocol$/, /^cipher$/],
  check: async ({ folder, start }) => {
    await using target = await start({ scheme: 'https', limits: 'raised' })
    const file = join(folder, 'sslscan.xml')
    const run = await runTool(['sslscan', '--no-colour', '--show-sigs', `--xml=${file}`, `localhost:${target.port}`], {
      cwd: folder,
      timeoutS: 120,
    })
    if (run.code !== 0) throw new Error(`sslscan ended with ${run.code}: ${run.stderr || run.stdout}`)
    const xml = readFileSync(file, 'utf8')
    const names = elements(xml, 'cipher').map(({ cipher = '' }) => cipher)
    const summary = `${new Set(names).size} cipher suites, ${elements(xml, 'group').length} groups`
    return { findings: [...parseSslscan(xml), ...target.ownWords()], summary }
  },
}
