import type { Finding, Judgement } from './finding.ts'

/** One tool that has run. */
export interface Ran {
  readonly tool: string
  readonly version: string
  readonly seconds: number
  readonly summary: string
  readonly findings: readonly Finding[]
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ').trim()

const rows = (head: readonly string[], lines: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...lines].map((line) => `| ${line.map(cell).join(' | ')} |`).join('\n')

/** Markdown: what ran, what was kept and why, and what has no reason. */
export const report = (all: readonly Ran[], { open, kept }: Judgement, now: Date): string => {
  const ran = all.map(({ tool, version, seconds, summary, findings }) => [tool, version, `${seconds} s`, summary, String(findings.length)])
  const reasons = [...new Set(kept.map(({ finding, reason }) => JSON.stringify([finding.tool, finding.id, reason])))]
  const lines = reasons.map((one) => {
    const [tool = '', id = '', reason = ''] = JSON.parse(one) as string[]
    const times = kept.filter(({ finding }) => finding.tool === tool && finding.id === id).length
    return [tool, id, String(times), reason]
  })
  return [
    `Attack tools, ${now.toISOString().slice(0, 10)}`,
    rows(['tool', 'version', 'took', 'what it did', 'findings'], ran),
    rows(['tool', 'finding', 'times', 'kept because'], lines),
    open.length === 0
      ? 'Nothing else was found.'
      : rows(
          ['tool', 'finding', 'where', 'text'],
          open.map(({ tool, id, where, text }) => [tool, id, where, text]),
        ),
    '',
  ].join('\n\n')
}
