import { createHash } from 'node:crypto'

import { defineConfig, type Plugin } from 'vite'

import { consoleDigest, digestFile } from './scripts/console-digest.ts'

/** Lets the tests tell whether the built page is the one of these sources. */
const digest = (): Plugin => ({
  name: 'sources-digest',
  generateBundle() {
    this.emitFile({ type: 'asset', fileName: digestFile, source: consoleDigest() })
  },
})

/**
 * The content security policy of the page allows its script by digest, and a browser asks for that digest on the element, too. It must be one
 * file: what a script loads has no element. Last of all, when nothing changes the files any more; the server checks it when it starts.
 */
const integrity = (): Plugin => ({
  name: 'integrity',
  enforce: 'post',
  generateBundle: {
    order: 'post',
    handler(_options, bundle) {
      const index = bundle['index.html']
      if (index?.type !== 'asset') throw new Error('there is no index.html')
      index.source = String(index.source).replaceAll(
        /(?<=<(?:script|link)\b[^>]*)\s(?:src|href)="\.\/([^"]+\.(?:js|css))"/g,
        (attribute, name: string) => {
          const file = bundle[name]
          if (file === undefined) throw new Error(`there is no ${name}`)
          const content = file.type === 'chunk' ? file.code : file.source
          return `${attribute} integrity="sha384-${createHash('sha384').update(content).digest('base64')}"`
        },
      )
    },
  },
})

/** The page. Relative addresses, so that it also works below a path; nothing inlined, because its content security policy allows no inline code. */
export default defineConfig({
  root: 'console',
  base: './',
  plugins: [digest(), integrity()],
  build: { outDir: '../dist/console', emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
})
