import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Finding } from './finding.ts'
import { knownPaths, pathsToTry } from './paths.ts'
import { runTool } from './run-tool.ts'
import type { Surroundings, Tool } from './target.ts'

type Heard = Omit<Finding, 'tool'>

export interface Tried {
  readonly path: string
  readonly status: number
  readonly length: number
}

/** The JSON that ffuf writes, with every answer in it (`-mc all`). */
export const parseFfuf = (json: string): Tried[] => {
  const { results } = JSON.parse(json) as {
    readonly results: readonly { readonly input: { readonly FUZZ: string }; readonly status: number; readonly length: number }[]
  }
  return results.map(({ input, status, length }) => ({ path: `/${input.FUZZ}`, status, length }))
}

/** Not what the name of a resource looks like: the target itself may be refused. */
const isCrooked = (path: string): boolean => /%|;|\\|\/\/|(^|\/)\.\.?(\/|$)/.test(path)

/** What answers other than with "there is nothing". `limited`: under the default limits, where most are refused unseen. */
export const judgePaths = (tried: readonly Tried[], asked: readonly string[], known: RegExp, limited: boolean): Heard[] => {
  const found: Heard[] = []
  const answered = new Set(tried.map(({ path }) => path))
  for (const path of asked)
    if (!answered.has(`/${path}`)) found.push({ id: 'not tested', where: `/${path}`, text: 'no answer, or it was not sent' })
  for (const { path, status, length } of tried) {
    const isThere = known.test(path.split(/[?#]/)[0] ?? '')
    const fine = status === 404 || (status === 400 && isCrooked(path)) || (status === 429 && limited) || (isThere && status < 500)
    if (!fine) found.push({ id: `status ${status}`, where: path, text: `${length} bytes` })
  }
  if (limited && !tried.some(({ status }) => status === 429))
    found.push({ id: 'no limit', where: '', text: 'nothing was refused with 429' })
  return found
}

const tryPaths = async ({ folder, start, selfCheck }: Surroundings, limits: 'raised' | 'default') => {
  await using target = await start({ scheme: 'https', limits })
  const paths = pathsToTry(target.description)
  const [list, output] = [join(folder, 'paths.txt'), join(folder, `ffuf-${limits}.json`)]
  writeFileSync(list, `${paths.join('\n')}\n`)
  // One at a time: with several ffuf 1.1 loses an answer now and then.
  const options = ['-mc', 'all', '-t', '1', '-timeout', '20', '-maxtime', '240', '-s', '-of', 'json', '-o', output]
  const run = await runTool(['ffuf', '-w', list, '-u', `${target.origin}/FUZZ`, ...options], { cwd: folder, timeoutS: 300 })
  if (run.code !== 0) throw new Error(`ffuf ended with ${run.code}: ${run.stderr || run.stdout.slice(-500)}`)
  const tried = parseFfuf(readFileSync(output, 'utf8'))
  const findings = judgePaths(tried, selfCheck ? [] : paths, knownPaths(target.description), limits === 'default')
  return { findings: [...findings, ...target.ownWords()], tried }
}

export const ffuf: Tool = {
  name: 'ffuf',
  program: 'ffuf',
  debian: 'ffuf',
  plants: [/^status 200$/],
  check: async (surroundings) => {
    const raised = await tryPaths(surroundings, 'raised')
    const byStatus = Object.entries(Object.groupBy(raised.tried, ({ status }) => String(status)))
    const counted = byStatus.map(([status, of]) => `${of?.length} ${status}`).join(', ')
    const limited = surroundings.selfCheck ? undefined : await tryPaths(surroundings, 'default')
    const refused =
      limited === undefined ? '' : `; under the default limits ${limited.tried.filter(({ status }) => status === 429).length} 429`
    return {
      findings: [...raised.findings, ...(limited?.findings ?? [])],
      summary: `${raised.tried.length} paths: ${counted}${refused}`,
    }
  },
}
