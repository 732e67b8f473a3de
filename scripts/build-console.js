// Builds the page, run by npm's `prepare`. Plain JavaScript, because `npm ci --omit=dev` runs it too: with the system's Node, and without
// Vite. Then there is nothing to do; a published package brings the page along.
import { fileURLToPath } from 'node:url'

const vite = await import('vite').catch((error) => {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
})
await vite?.build({ configFile: fileURLToPath(new URL('../vite.config.ts', import.meta.url)), logLevel: 'warn' })
