/** Attacks by the tools that people use, under the default limits, each from an address of its own. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Field } from './field.ts'
import type { Scenario } from './scenario.ts'
import { browserAgent } from './visitor.ts'
import { commonNames, commonPasswords, commonPaths } from './word-lists.ts'

/** What any of them may take; a server that reacts ends them long before. */
const toolSeconds = 30

const list = (field: Field, name: string, lines: readonly string[]): string => {
  const file = join(field.folder, name)
  writeFileSync(file, `${lines.join('\n')}\n`)
  return file
}

/** A tool that could not be started has attacked nobody. */
const attack = async (field: Field, command: readonly string[], seconds = toolSeconds): Promise<void> => {
  const { code, stderr } = await field.tool(command, seconds)
  if (code === 127 || code === 126) throw new Error(`${command[0]}: ${stderr}`)
}

const scenario = (name: string, rules: readonly string[], run: Scenario['run']): Scenario => ({
  name,
  label: 'attack',
  field: { own: true },
  rules,
  run,
})

const scanner = ['scanner-agent']
const injection = ['sql-probing']
const probing = ['path-probing', 'sensitive-files', 'honey-route', 'admin-probing']

const sqlmap =
  (...options: readonly string[]): Scenario['run'] =>
  (field) => {
    const patience = '--batch --ignore-stdin --flush-session --disable-coloring --timeout 10 --retries 0 --ignore-code *'.split(' ')
    const output = ['--output-dir', join(field.folder, 'sqlmap')]
    return attack(field, ['sqlmap', ...patience, ...output, ...options.map((option) => option.replace('BASE', field.server.url))])
  }

const login = JSON.stringify({ username: 'ada', password: 'x' })

const sqlmaps: readonly Scenario[] = [
  scenario('sqlmap', [...scanner, ...injection], sqlmap('-u', 'BASE/?like=1')),
  scenario('sqlmap --random-agent, GET /?like=', injection, sqlmap('--random-agent', '-u', 'BASE/?like=1')),
  scenario('sqlmap --random-agent, GET /v1/films/1', injection, sqlmap('--random-agent', '-u', 'BASE/v1/films/1*')),
  scenario('sqlmap --random-agent, login', injection, sqlmap('--random-agent', '-u', 'BASE/v1/auth/login', '--data', login)),
]

const ffuf =
  (...options: readonly string[]): Scenario['run'] =>
  (field) =>
    attack(field, ['ffuf', '-w', list(field, 'paths.txt', commonPaths), '-u', `${field.server.url}/FUZZ`, '-mc', 'all', '-s', ...options])

const asBrowser = ['-H', `User-Agent: ${browserAgent}`]

const ffufs: readonly Scenario[] = [
  scenario('ffuf', [...scanner, ...probing], ffuf()),
  scenario('ffuf as a browser', probing, ffuf(...asBrowser)),
  scenario('ffuf as a browser, 2 a second', probing, ffuf(...asBrowser, '-t', '1', '-p', '0.5')),
]

const wapiti =
  (...options: readonly string[]): Scenario['run'] =>
  (field) => {
    const { url } = field.server
    const bounds = `--scope domain --flush-session --no-bugreport -f json --max-scan-time 25 --max-attack-time 20 -m sql,xss,exec,file,backup`
    const files = ['--store-session', join(field.folder, 'session'), '-o', join(field.folder, 'wapiti.json')]
    const start = ['-u', `${url}/`, '-s', `${url}/?like=1`, '-s', `${url}/v1/films/1`]
    return attack(field, ['wapiti', ...start, ...bounds.split(' '), ...files, ...options])
  }

/** JSON in the place of a form: each colon escaped, no page asked for a cookie before, the media type said again. */
const jsonForm = '/v1/auth/login:{"username"\\:"^USER^","password"\\:"^PASS^"}:g=/:H=Content-Type\\: application/json:S=access_token'

const hydra =
  (module: string, option: string, ...options: readonly string[]): Scenario['run'] =>
  (field) => {
    const { hostname, port } = new URL(field.server.url)
    const words = ['-L', list(field, 'names.txt', commonNames), '-P', list(field, 'passwords.txt', commonPasswords)]
    return attack(field, ['hydra', '-I', ...words, '-s', port, '-t', '4', ...options, hostname, module, option])
  }

const guessing = ['credential-stuffing', 'password-guessing']

const slowhttptest =
  (path: string, options: string): Scenario['run'] =>
  (field) =>
    attack(field, ['slowhttptest', ...options.split(' '), '-i', '3', '-p', '3', '-u', `${field.server.url}${path}`], 60)

const many = '-c 200 -r 50 -l 25'

/** Whoever sends or takes a byte now and then looks like a slow client until the server's patience of 10 s is over: nothing can be seen before. */
const patience = { requests: 100, seconds: 15 }

const slow: readonly Scenario[] = [
  scenario('slowhttptest, headers', ['slow-client'], slowhttptest('/', `-H -x 8 ${many}`)),
  {
    ...scenario('slowhttptest, body', ['slow-client'], slowhttptest('/v1/auth/login', `-B -x 8 -s 4096 -f application/json ${many}`)),
    within: patience,
  },
  {
    // Answers of several requests on each connection: one alone fits into the buffers of the system, which are not the server's.
    ...scenario('slowhttptest, read', ['slow-client'], slowhttptest('/openapi.json', '-X -k 8 -n 1 -w 1 -y 512 -z 5 -c 30 -r 2 -l 45')),
    within: { requests: 300, seconds: 45 },
  },
]

export const tools: readonly Scenario[] = [
  ...sqlmaps,
  ...ffufs,
  scenario('wapiti', [...scanner, ...injection, 'traversal-probing', 'command-probing'], wapiti()),
  scenario('wapiti as a browser', [...injection, 'traversal-probing', 'command-probing'], wapiti('-A', browserAgent)),
  scenario('hydra, JSON to the login', guessing, hydra('http-post-form', jsonForm)),
  scenario('hydra, a form to the login', scanner, hydra('http-post-form', '/v1/auth/login:username=^USER^&password=^PASS^:S=access_token')),
  scenario('hydra, Basic on /v1/users', ['token-guessing', ...scanner], hydra('http-get', '/v1/users')),
  ...slow,
]
