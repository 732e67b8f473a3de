import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Finding } from './finding.ts'
import { runTool } from './run-tool.ts'
import type { Tool } from './target.ts'

interface Line {
  readonly id: string
  readonly severity: string
  readonly finding: string
}

/** Without these the scan was not one: each stands for a part of testssl.sh. */
const demanded = [
  'SSLv2',
  'SSLv3',
  'TLS1',
  'TLS1_1',
  'TLS1_2',
  'TLS1_3',
  'cipherlist_NULL',
  'cipherlist_STRONG',
  'PFS',
  'cipher_order',
  'cert_chain_of_trust',
  'cert_expirationStatus',
  'HSTS_time',
  'heartbleed',
  'CCS',
  'ticketbleed',
  'ROBOT',
  'secure_client_renego',
  'CRIME_TLS',
  'BREACH',
  'POODLE_SSL',
  'SWEET32',
  'FREAK',
  'DROWN',
  'LOGJAM',
  'BEAST',
  'LUCKY13',
  'RC4',
  'scanTime',
] as const

/** Everything that testssl.sh does not call OK or mere information, from its flat JSON; a test that it left out is a finding, too. */
export const parseTestssl = (json: string): Omit<Finding, 'tool'>[] => {
  const lines = JSON.parse(json) as readonly Line[]
  const ids = new Set(lines.map(({ id }) => id))
  const missing = demanded
    .filter((id) => !ids.has(id))
    .map((id) => ({ id: 'not tested', where: id, text: 'testssl.sh says nothing of it' }))
  const bad = lines.filter(({ severity }) => severity !== 'OK' && severity !== 'INFO')
  return [...missing, ...bad.map(({ id, severity, finding }) => ({ id: `${severity} ${id}`, where: '', text: finding }))]
}

export const testssl: Tool = {
  name: 'testssl.sh',
  program: 'testssl',
  debian: 'testssl.sh',
  plants: [/^(LOW|MEDIUM) TLS1$/, /LUCKY13|BEAST/],
  check: async ({ folder, start, selfCheck }) => {
    await using target = await start({ scheme: 'https', limits: 'raised' })
    const file = join(folder, 'testssl.json')
    const some = selfCheck ? ['--protocols', '--std', '--lucky13', '--beast', '--server-defaults'] : []
    // The page: a client that takes only text gets no JSON.
    const url = `${target.origin}/${selfCheck ? '' : 'index.html'}`
    const options = ['--quiet', '--color', '0', '--warnings', 'off', '--nodns', 'none', '--add-ca', target.caFile, '--jsonfile', file]
    const run = await runTool(['testssl', ...options, ...some, url], { cwd: folder, timeoutS: 900 })
    // It ends with the number of what it did not like.
    if (run.cut || run.code === null || run.code > 240) throw new Error(`testssl.sh ended with ${run.code}: ${run.stderr || run.stdout}`)
    const json = readFileSync(file, 'utf8')
    const tested = (JSON.parse(json) as readonly Line[]).length
    const all = parseTestssl(json)
    const findings = selfCheck ? all.filter(({ id }) => id !== 'not tested') : all
    return { findings: [...findings, ...target.ownWords()], summary: `${tested} results` }
  },
}
