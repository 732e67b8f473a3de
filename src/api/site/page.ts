import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'

import type { FastifyInstance } from 'fastify'

import { NoQuery } from '../films/schema.ts'
import { describePage } from './descriptions.ts'
import { createFixedAnswer, type FixedAnswerOptions } from './fixed-answer.ts'
import { type Delivery, pageFields } from './page-fields.ts'

export interface PageRoutesOptions {
  readonly delivery: Delivery
  /** The folder that Vite wrote; the package's own by default. */
  readonly folder?: string
  /** Told once, at the start, when the page is not there. */
  readonly warn: (message: string) => void
}

interface PageFile extends Pick<FixedAnswerOptions, 'cacheControl'> {
  readonly url: string
  readonly body: Buffer
  readonly mediaType: string
  readonly headers: Readonly<Record<string, string>>
}

/** The same from src/ and from dist/: both lie beside each other in the package. */
const builtFolder = join(import.meta.dirname, '../../../dist/console')

const mediaTypes: Readonly<Record<string, string>> = { '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' }

/**
 * What the page may do: run the scripts that it was built with and no others, load its look and its icon from here, and talk to here.
 * `require-trusted-types-for` with no policy at all turns every way of making markup or script from text into an error (W3C Trusted Types),
 * so a film's name stays text even where the page has a bug.
 */
const pagePolicy = (scripts: readonly string[]): readonly string[] => [
  `script-src ${scripts.length === 0 ? "'none'" : scripts.join(' ')}`,
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
]

/** It copies commands, and passkeys of this API are made and used where it is (docs/second-factor.md). */
const pageFeatures = ['clipboard-write', 'publickey-credentials-create', 'publickey-credentials-get']

/**
 * The page at /index.html and its assets, each file a route of its own, read once: no path of a client ever reaches the file system.
 * They count in `total` alone. Without a build (an install without development dependencies) there are no routes, and the API serves on.
 */
export const pageRoutes = (app: FastifyInstance, { delivery, folder = builtFolder, warn }: PageRoutesOptions): void => {
  const files = readPage(folder, delivery)
  if (files.length === 0) warn('the page is not built, so /index.html is not there; "npm run prepare" builds it where Vite is installed')
  for (const file of files) addFile(app, file)
}

const addFile = (app: FastifyInstance, { url, body, mediaType, cacheControl, headers }: PageFile): void => {
  // The files behind the page have names that change with their content, so nobody else may count on them.
  const description = url === '/index.html' ? describePage : { hide: true }
  const type = mediaType.startsWith('text/') ? `${mediaType}; charset=utf-8` : mediaType
  app.get(
    url,
    { schema: { ...description, querystring: NoQuery }, config: { access: 'public', limits: 'none', produces: mediaType } },
    createFixedAnswer({ body, type, cacheControl, headers }),
  )
}

/** All files or, where there is no index.html, none. The name of an asset holds a digest of its content, so it never changes. */
const readPage = (folder: string, delivery: Delivery): PageFile[] => {
  const index = readIfThere(join(folder, 'index.html'))
  if (index === undefined) return []
  const assets = readdirSync(join(folder, 'assets')).map((name): PageFile => {
    const mediaType = mediaTypes[extname(name)]
    if (mediaType === undefined || !/^[\w.-]+$/.test(name)) throw new Error(`the page has a file that it may not have: assets/${name}`)
    const body = readFileSync(join(folder, 'assets', name))
    return { url: `/assets/${name}`, body, mediaType, cacheControl: 'public, max-age=31536000, immutable', headers: {} }
  })
  const headers = pageFields({ policy: pagePolicy(scriptSources(index.toString(), assets)), features: pageFeatures }, delivery)
  return [{ url: '/index.html', body: index, mediaType: 'text/html', cacheControl: 'no-cache', headers }, ...assets]
}

/**
 * The scripts of the page as its policy names them: a file runs when it is the one of that digest and the element that loads it says so
 * (CSP Level 3 section 8.4), so that not even a script from this server runs that the page was not built with. Throws where the build
 * left a script that could not run: one without `integrity`, of another digest, inline, or loaded by another script.
 */
const scriptSources = (index: string, assets: readonly PageFile[]): string[] => {
  const sources = new Map(
    assets.filter(({ mediaType }) => mediaType === 'text/javascript').map(({ url, body }) => [`.${url}`, `sha384-${sha384(body)}`]),
  )
  const elements = index.match(/<script\b[^>]*>/gi) ?? []
  for (const element of elements) {
    const [, src = ''] = /\ssrc="([^"]*)"/.exec(element) ?? []
    const [, integrity] = /\sintegrity="([^"]*)"/.exec(element) ?? []
    if (integrity === undefined || integrity !== sources.get(src)) throw new Error(`the page has a script that may not run: ${element}`)
  }
  if (elements.length !== sources.size) throw new Error('the page has a script that its index.html does not load')
  return [...sources.values()].map((source) => `'${source}'`)
}

const sha384 = (bytes: Buffer): string => createHash('sha384').update(bytes).digest('base64')

const readIfThere = (path: string): Buffer | undefined => {
  try {
    return readFileSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
