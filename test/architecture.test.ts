import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'

/** Who may import whom inside src/ (ARCHITECTURE.md). `type x` allows `import type` alone. Everything else is forbidden. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  main: ['cli'],
  cli: ['serve', 'client', 'config', 'db', 'api', 'credentials', 'core'],
  serve: ['app', 'side-apps', 'config', 'tls', 'db', 'api', 'layers', 'credentials', 'core'],
  app: ['listener', 'routes', 'layers', 'api', 'core', 'type config'],
  routes: ['layers', 'api', 'core', 'type app', 'type listener'],
  tls: ['credentials', 'core', 'type config'],
  'side-apps': ['listener', 'layers', 'api', 'core', 'type app', 'type config'],
  listener: ['layers', 'core', 'type config'],
  api: ['core', 'credentials', 'db', 'type layers'],
  layers: ['core', 'credentials'],
  db: ['core'],
  credentials: ['core'],
  config: [],
  core: [],
}

/** Packages and built-ins that only some files may reach. */
const confined: readonly { readonly name: RegExp; readonly files: RegExp }[] = [
  { name: /^(pg|node:sqlite)$/, files: /^db\// },
  { name: /^redis$/, files: /^(serve\.ts|layers\/[^/]+\/redis-store\.ts)$/ },
  { name: /^prom-client$/, files: /^layers\/metrics\// },
  { name: /^@opentelemetry\//, files: /^layers\/tracing\.ts$/ },
]

interface Import {
  readonly file: string
  readonly target: string
  readonly typeOnly: boolean
}

const src = join(import.meta.dirname, '../src')

const importsOf = (file: string, text: string): Import[] =>
  [...text.matchAll(/^(?:import|export)\s+(type\s)?(?:[\w*{][^'"`;=()]*?\sfrom\s+)?['"]([^'"]+)['"]|import\(['"]([^'"]+)['"]\)/gm)].map(
    (match) => ({
      file,
      typeOnly: match[1] !== undefined,
      target: match[2] ?? match[3] ?? '',
    }),
  )

/** The room a file belongs to: its folder, or its own name at the top. */
const roomOf = (file: string): string => file.split('/')[0]?.replace(/(\.test)?\.ts$/, '') ?? ''

/** A layer is a file in layers/ or a folder of one. */
const layerOf = (file: string): string => file.split('/')[1]?.replace(/(\.test)?\.ts$/, '') ?? ''

const violation = ({ file, target, typeOnly }: Import): string | undefined => {
  if (!target.startsWith('.')) {
    const rule = confined.find(({ name }) => name.test(target))
    return rule === undefined || rule.files.test(file) ? undefined : `${file} imports ${target}`
  }
  const imported = relative(src, join(src, dirname(file), target))
  const [from, to] = [roomOf(file), roomOf(imported)]
  if (from === to) {
    const siblings = from === 'layers' && layerOf(file) !== 'index' && layerOf(file) !== layerOf(imported)
    return siblings ? `${file} imports its sibling layer ${imported}` : undefined
  }
  const permissions = allowed[from] ?? []
  return permissions.includes(to) || (typeOnly && permissions.includes(`type ${to}`)) ? undefined : `${file} imports ${imported}`
}

const sources = globSync('**/*.ts', { cwd: src }).map((file) => ({ file, text: readFileSync(join(src, file), 'utf8') }))
const production = sources.filter(({ file }) => !file.endsWith('.test.ts'))

test('nothing in src/ imports what its room may not', () => {
  const found = production.flatMap(({ file, text }) => importsOf(file, text).map(violation))
  assert.deepEqual(
    found.filter((one) => one !== undefined),
    [],
  )
  assert.ok(production.length > 40, 'the sources were found')
})

test('planted violations are found', () => {
  const planted: readonly [string, string][] = [
    ['core/clock.ts', "import { serve } from '../serve.ts'"],
    ['core/clock.ts', "import '../serve.ts'"],
    ['core/clock.ts', "import {\n  serve,\n} from '../serve.ts'"],
    ['core/clock.ts', "export * from '../serve.ts'"],
    ['layers/problems.ts', "import { quote } from './access-log/escape.ts'"],
    ['layers/rate-limit/plugin.ts', "import { Kysely } from '../../db/open.ts'"],
    ['api/films/routes.ts', "import { problems } from '../../layers/index.ts'"],
    ['api/films/routes.ts', "import { DatabaseSync } from 'node:sqlite'"],
    ['layers/problems.ts', "import { Counter } from 'prom-client'"],
    ['serve.ts', "import { trace } from '@opentelemetry/api'"],
    ['app.ts', "import { loadConfig } from './config.ts'"],
    ['db/open.ts', "export { films } from '../api/films/schema.ts'"],
    ['serve.ts', "const x = await import('./cli/run.ts')"],
  ]
  for (const [file, text] of planted) assert.equal(importsOf(file, text).map(violation).filter(Boolean).length, 1, `${file}: ${text}`)
  assert.equal(importsOf('app.ts', "import type { Config } from './config.ts'").map(violation).filter(Boolean).length, 0)
  const harmless =
    "export interface A {\n  b: string\n}\nconst c = new URL('../cli/run.ts', import.meta.url)\nexport const d = '../cli/run.ts'"
  assert.deepEqual(importsOf('core/clock.ts', harmless), [], 'a path that is not imported')
})

test('only main and the configuration read the environment', () => {
  const readers = production.filter(({ text }) => text.includes('process.env')).map(({ file }) => file)
  // config.ts only names it in its documentation: it is given the variables.
  assert.deepEqual(readers.toSorted(), ['config.ts', 'main.ts'])
})

test('no file is longer than 300 lines, and every layer is exported by the barrel', () => {
  for (const { file, text } of sources) assert.ok(text.split('\n').length <= 301, `${file} is too long`)
  const barrel = readFileSync(join(src, 'layers/index.ts'), 'utf8')
  const layers = new Set(production.filter(({ file }) => file.startsWith('layers/')).map(({ file }) => layerOf(file)))
  layers.delete('index')
  for (const layer of layers) assert.match(barrel, new RegExp(`'\\./${layer}[./]`), `${layer} is not in layers/index.ts`)
})
