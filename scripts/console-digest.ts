import { createHash } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')

/** The file beside the built page that names the sources it was built from. It is not served. */
export const digestFile = 'sources.sha256'

/** Of everything that the page is built from, dependencies apart: `npm ci` builds it anew by itself. */
export const consoleDigest = (): string => {
  const hash = createHash('sha256')
  const sources = globSync('console/**/*.{ts,tsx,css,html,svg}', { cwd: root, exclude: ['console/**/*.test.ts'] })
  for (const file of ['vite.config.ts', ...sources.toSorted()])
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update('\0')
  return hash.digest('hex')
}
