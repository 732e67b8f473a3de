import { defineConfig } from 'vite'

/** The page. Relative addresses, so that it also works below a path; nothing inlined, because its content security policy allows no inline code. */
export default defineConfig({
  root: 'console',
  base: './',
  build: { outDir: '../dist/console', emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
})
