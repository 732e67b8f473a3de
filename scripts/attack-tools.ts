/**
 * Runs the attack tools that people use (testssl.sh, sslscan, slowhttptest, sqlmap, wapiti, ffuf, h2load) against a Filmgate of its own on
 * loopback, and exits 1 unless everything that they say has a reason in attack-tools/kept.ts. By hand: it takes half an hour and the
 * machine's attention. `--self-check` runs them against a server that is weak on purpose, and exits 1 unless each finds what was planted.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { ffuf } from './attack-tools/ffuf.ts'
import { type Finding, judge } from './attack-tools/finding.ts'
import { h2load } from './attack-tools/http2.ts'
import { keptFindings } from './attack-tools/kept.ts'
import { methods } from './attack-tools/methods.ts'
import { type Ran, report } from './attack-tools/report.ts'
import { endTools } from './attack-tools/run-tool.ts'
import { slowhttptest } from './attack-tools/slow-clients.ts'
import { sqlmap } from './attack-tools/sqlmap.ts'
import { sslscan } from './attack-tools/sslscan.ts'
import type { Tool } from './attack-tools/target.ts'
import { filmgate, weak } from './attack-tools/targets.ts'
import { testssl } from './attack-tools/testssl.ts'
import { wapiti } from './attack-tools/wapiti.ts'

const tools: readonly Tool[] = [testssl, sslscan, h2load, methods, ffuf, wapiti, sqlmap, slowhttptest]

/** Of what the weak server has. */
const shown = 12

const print = (text: string): void => void process.stdout.write(`${text}\n`)

/** As Debian names it. */
const versionOf = ({ debian }: Tool): string => {
  if (debian === '') return process.version
  return spawnSync('dpkg-query', ['-W', '-f', '${Version}', debian], { encoding: 'utf8' }).stdout || 'unknown'
}

const runOne = async (tool: Tool, selfCheck: boolean): Promise<Ran> => {
  const folder = mkdtempSync(join(tmpdir(), 'filmgate-attack-'))
  const startedMs = performance.now()
  try {
    const start = (selfCheck ? weak : filmgate)(folder)
    const { findings, summary } = await tool.check({ folder, start, selfCheck })
    const seconds = Math.round((performance.now() - startedMs) / 1000)
    return { tool: tool.name, version: versionOf(tool), seconds, summary, findings: findings.map((one) => ({ tool: tool.name, ...one })) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const show = ({ tool, id, where, text }: Finding): string => {
  const [line = ''] = text.split('\n')
  return `  ${tool}: ${id}${where === '' ? '' : `, ${where}`}: ${line.slice(0, 200).trim()}`
}

/** Of the weak server: every plant of every tool. Returns what was not found. */
const missingPlants = (tool: Tool, { findings }: Ran): string[] =>
  tool.plants.filter((plant) => !findings.some(({ id }) => plant.test(id))).map(String)

const checkTools = async (chosen: readonly Tool[]): Promise<number> => {
  let exitCode = 0
  for (const tool of chosen) {
    const ran = await runOne(tool, true)
    const missing = missingPlants(tool, ran)
    if (missing.length > 0) exitCode = 1
    const verdict = missing.length === 0 ? 'finds what was planted' : `is SILENT about ${missing.join(', ')}`
    print(`${tool.name} ${ran.version}, ${ran.seconds} s: ${verdict}\n${ran.findings.slice(0, shown).map(show).join('\n')}`)
  }
  return exitCode
}

const attack = async (chosen: readonly Tool[], reportFile: string | undefined): Promise<number> => {
  const all: Ran[] = []
  for (const tool of chosen) {
    const ran = await runOne(tool, false)
    all.push(ran)
    print(`${tool.name} ${ran.version}, ${ran.seconds} s: ${ran.summary}; ${ran.findings.length} findings`)
  }
  const judged = judge(
    all.flatMap(({ findings }) => findings),
    keptFindings,
    all.map(({ tool }) => tool),
  )
  if (reportFile !== undefined) writeFileSync(reportFile, report(all, judged, new Date()))
  for (const { tool, id, reason } of judged.unused) print(`Nothing needs the reason of ${tool} ${String(id)} any more: ${reason}`)
  if (judged.open.length > 0) print(`${judged.open.length} findings without a reason:\n${judged.open.map(show).join('\n')}`)
  else print(`Nothing was found that has no reason; ${judged.kept.length} findings have one.`)
  return judged.open.length > 0 || judged.unused.length > 0 ? 1 : 0
}

const choose = (names: readonly string[]): readonly Tool[] => {
  const unknown = names.filter((name) => !tools.some((tool) => tool.name === name))
  if (unknown.length > 0) throw new Error(`no such tool: ${unknown.join(', ')}; there are ${tools.map(({ name }) => name).join(', ')}`)
  return names.length === 0 ? tools : tools.filter(({ name }) => names.includes(name))
}

if (import.meta.main) {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, endTools)
  const { values } = parseArgs({
    options: { only: { type: 'string', multiple: true }, report: { type: 'string' }, 'self-check': { type: 'boolean', default: false } },
  })
  try {
    const chosen = choose(values.only ?? [])
    const installed = spawnSync(join(import.meta.dirname, 'services'), ['attack-tools'], { stdio: 'inherit' })
    if (installed.status !== 0) throw new Error('the tools are not there')
    process.exitCode = values['self-check'] ? await checkTools(chosen) : await attack(chosen, values.report)
  } catch (error) {
    print(`attack-tools: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
}
