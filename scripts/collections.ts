/**
 * Makes the files of collections/ from the description of the API under the default configuration, without a server.
 * `--check` writes nothing and exits 1 unless each file is byte for byte what would be written.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'

import { loadConfig } from '../src/config.ts'
import { checkLimits } from '../src/serve.ts'
import { describeApp } from '../src/serve/describe.ts'
import { httpFile } from './collections/http-file.ts'
import { postmanCollection } from './collections/postman.ts'
import { samplesOf } from './collections/samples.ts'
import { thunderCollection } from './collections/thunder.ts'

const folder = new URL('../collections/', import.meta.url)

/** By name. The page is left out: it is no call, and whether it is there depends on a build. */
export const makeCollections = async (): Promise<ReadonlyMap<string, string>> => {
  const config = loadConfig({ env: { FILMGATE_PAGE_ENABLED: 'false' }, cwd: import.meta.dirname, checkLimits })
  const app = await describeApp(config)
  const description = app.description()
  const samples = samplesOf(description)
  return new Map([
    ['filmgate.postman_collection.json', json(postmanCollection(description, samples))],
    ['filmgate.thunder-collection.json', json(thunderCollection(description, samples))],
    ['filmgate.http', httpFile(samples)],
  ])
}

const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`

/** Returns the exit code. */
export const run = async (options: { check: boolean; folder: URL; print: (text: string) => void }): Promise<number> => {
  let exitCode = 0
  for (const [name, fresh] of await makeCollections()) {
    const file = new URL(name, options.folder)
    if (!options.check) await writeFile(file, fresh)
    else if ((await readIfThere(file)) !== fresh) {
      options.print(`collections/${name} differs from what npm run collections writes.\n`)
      exitCode = 1
    }
  }
  return exitCode
}

const readIfThere = async (file: URL): Promise<string | undefined> => {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

if (import.meta.main) {
  try {
    const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
    process.exitCode = await run({ check: values.check, folder, print: (text) => void process.stdout.write(text) })
  } catch (error) {
    process.stderr.write(`${String(error)}\n`)
    process.exitCode = 1
  }
}
