import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { consoleDigest, digestFile } from '../../scripts/console-digest.ts'

/** Where `npm ci` builds the page, by `prepare`. */
export const pageFolder = join(import.meta.dirname, '../../dist/console')

/** A page of other sources would prove nothing about these. */
export const assertPageBuilt = (): void => {
  const file = join(pageFolder, digestFile)
  assert.ok(existsSync(file), 'the page is not built: npm run prepare')
  assert.equal(readFileSync(file, 'utf8'), consoleDigest(), 'the page was built from other sources: npm run prepare')
}
