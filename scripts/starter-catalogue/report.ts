import type { Catalogue } from './catalogue.ts'
import { repairKinds } from './clean.ts'
import type { RepairKind } from './clean.ts'

export interface RepairCount {
  kind: RepairKind
  count: number
  examples: string[]
}

/** Every class of repair, also those with none: a zero says that it was looked for. */
export function countRepairs({ entries }: Catalogue): RepairCount[] {
  const found = entries.flatMap(({ film, repairs }) => repairs.map((repair) => ({ ...repair, name: film.name })))
  return (Object.keys(repairKinds) as RepairKind[]).map((kind) => {
    const ofKind = found.filter((repair) => repair.kind === kind)
    const examples = ofKind.slice(0, 3).map(({ field, name, before, after }) => {
      const change = `${JSON.stringify(before)} -> ${JSON.stringify(after)}`
      return field === 'name' ? change : `${name}: ${field} ${change}`
    })
    return { kind, count: ofKind.length, examples }
  })
}

/** The summary for stdout; `records` is the number of records in the data set. */
export function formatReport(catalogue: Catalogue, records: number): string {
  const { entries, quarantined } = catalogue
  const repaired = entries.filter(({ repairs }) => repairs.length > 0).length
  const counts = [
    ['records in the data set', records],
    ['clean', entries.length - repaired],
    ['repaired', repaired],
    ['quarantined', quarantined.length],
    ['films written, with Frozen', entries.length + 1],
  ] as const
  const lines = counts.map(([label, count]) => `${String(count).padStart(6)}  ${label}`)
  lines.push('', 'Repairs (a film can have several)')
  for (const { kind, count, examples } of countRepairs(catalogue)) {
    lines.push(`${String(count).padStart(6)}  ${kind}: ${repairKinds[kind]}`, ...examples.map((example) => `          ${example}`))
  }
  lines.push('', 'Quarantined')
  lines.push(...quarantined.map(({ index, title, reason }) => `${String(index).padStart(6)}  ${title}: ${reason}`))
  return `${lines.join('\n')}\n`
}
