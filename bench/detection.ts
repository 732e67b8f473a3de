/** Quality of detection: labelled traffic against the real server, and what it decided. See docs/detection.md. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import { endTools } from '../scripts/attack-tools/run-tool.ts'
import { allRules } from '../src/serve/rules.ts'
import { attackers } from './detection/attackers.ts'
import { browsing } from './detection/browsing.ts'
import { crowd } from './detection/crowd.ts'
import { openField } from './detection/field.ts'
import { intruders } from './detection/intruders.ts'
import { byRule, ruleRow, rulesWithout } from './detection/rules.ts'
import { type Judged, play, type Scenario, soon } from './detection/scenario.ts'
import { titled } from './detection/titles.ts'
import { tools } from './detection/tools.ts'
import type { Machine } from './machine.ts'
import { packageVersions } from './machine.ts'
import type { Options } from './options.ts'
import { goal, type Outcome, table, whole } from './report.ts'

const groups = { tools, own: [...attackers, ...intruders], good: [...browsing, ...crowd, ...titled] } as const
type Group = keyof typeof groups

type Played = Judged & { readonly group: Group }

/** Debian packages, and a network in which a tool is not on loopback. */
const prepare = (): void => {
  const installed = spawnSync(fileURLToPath(new URL('../scripts/services', import.meta.url)), ['attack-tools'], { stdio: 'inherit' })
  if (installed.status !== 0) throw new Error('the tools are not there')
  if (spawnSync('unshare', ['-rn', 'true']).status !== 0)
    throw new Error('unshare -rn makes no network here, and on loopback nothing is decided')
}

/** A name that no rule has would never be missed. */
const checkNames = (scenarios: readonly Scenario[]): void => {
  const known = new Set(allRules.map(({ name }) => name))
  const unknown = scenarios.flatMap(({ rules = [] }) => rules).filter((name) => !known.has(name))
  if (unknown.length > 0) throw new Error(`no such rule: ${[...new Set(unknown)].join(', ')}`)
}

const playAll = async (group: Group, only: string | undefined): Promise<Played[]> => {
  const played: Played[] = []
  for (const scenario of groups[group].filter(({ name }) => only === undefined || name.includes(only))) {
    const judged = await play(scenario, openField)
    played.push({ group, ...judged })
    console.error(`${judged.verdict.padEnd(6)} ${judged.name}: ${decisionsOf(judged) || 'nothing decided'}`)
  }
  return played
}

const decisionsOf = ({ decided }: Judged): string =>
  [...new Set(decided.map(({ rule, observed }) => (observed ? `${rule} (told)` : rule)))].join(', ')

const scenarioRow = (judged: Played): string[] => {
  const { group, name, requests, seconds, decided, verdict } = judged
  const [first] = decided
  const after = first === undefined ? ['–', '–'] : [whole(first.requests), first.seconds.toFixed(1)]
  return [`${group}: ${name}`, whole(requests), whole(seconds), ...after, decisionsOf(judged) || '–', verdict]
}

const ruleTable = (played: readonly Judged[]): string =>
  table(['rule', 'decisions', 'false', 'precision', 'attacks for it', 'decided', 'recall'], byRule(played).map(ruleRow))

const amiss = (played: readonly Played[], group: Group): number =>
  played.filter((one) => one.group === group && one.verdict !== 'ok').length

export async function detection(_machine: Machine, { only }: Options): Promise<Outcome> {
  prepare()
  process.once('exit', endTools)
  checkNames(Object.values(groups).flat())
  const played: Played[] = []
  for (const group of ['tools', 'own', 'good'] as const) played.push(...(await playAll(group, only)))
  const falseDecisions = byRule(played).reduce((sum, { wrong }) => sum + wrong, 0)
  const silent = rulesWithout(played, allRules)
  return {
    headings: ['scenario', 'requests', 'seconds', 'decided after requests', 'after seconds', 'by', 'verdict'],
    rows: played.map(scenarioRow),
    notes: [
      ruleTable(played),
      ...(silent.length > 0 ? [`No attack of this bench is for: ${silent.join(', ')}.`] : []),
      'Seconds are those of the server, whose clock some scenarios move. A server of its own for each scenario, with every rule that Filmgate comes with.',
    ],
    goals: [
      goal(`tool runs without a decision within ${soon.seconds} s or ${soon.requests} requests`, amiss(played, 'tools'), '<=', 0),
      goal('attacks of our own without a decision in their time', amiss(played, 'own'), '<=', 0),
      goal('good scenarios with a decision', amiss(played, 'good'), '<=', 0),
      goal('decisions about somebody who did nothing', falseDecisions, '<=', 0),
    ],
    versions: { ...packageVersions(['fastify']), ...toolVersions() },
    settings: { scenarios: played.length, rules: allRules.length },
    rounds: played,
  }
}

const toolVersions = (): Record<string, string> => {
  const names = ['sqlmap', 'ffuf', 'wapiti', 'hydra', 'slowhttptest', 'chromium']
  const { stdout } = spawnSync('dpkg-query', ['-W', '-f', '${Package} ${Version}\n', ...names], { encoding: 'utf8' })
  return Object.fromEntries(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ') as [string, string]),
  )
}
