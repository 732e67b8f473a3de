import { defineConfig, type Plugin } from 'vite'

import { consoleDigest, digestFile } from './scripts/console-digest.ts'

/** Lets the tests tell whether the built page is the one of these sources. */
const digest = (): Plugin => ({
  name: 'sources-digest',
  generateBundle() {
    this.emitFile({ type: 'asset', fileName: digestFile, source: consoleDigest() })
  },
})

/** The page. Relative addresses, so that it also works below a path; nothing inlined, because its content security policy allows no inline code. */
export default defineConfig({
  root: 'console',
  base: './',
  plugins: [digest()],
  build: { outDir: '../dist/console', emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
})
