import { readdirSync, readFileSync } from 'node:fs'

/** From /proc/PID/stat, whose second field is a name in parentheses that may hold anything (proc(5)). */
const statOf = (pid: number): { state: string; parent: number } | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state = '', parent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { state, parent: Number(parent) }
  } catch {
    return undefined
  }
}

export const childrenOf = (pid: number): number[] =>
  readdirSync('/proc')
    .map(Number)
    .filter((candidate) => candidate > 0 && statOf(candidate)?.parent === pid)

/** A zombie runs no more: whoever is its parent by now may be slow to take note. */
export const hasEnded = (pid: number): boolean => {
  const state = statOf(pid)?.state
  return state === undefined || state === 'Z' || state === 'X'
}

export const isStopped = (pid: number): boolean => statOf(pid)?.state === 'T'

/** To one that may be gone already. */
export const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}
