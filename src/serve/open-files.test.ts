import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import type { Config } from '../config.ts'
import { shareConnections } from './open-files.ts'

const config = (maxConnections: number, redirectPort = 0): Config =>
  ({ server: { maxConnections }, tls: { redirectPort } }) as unknown as Config

describe('connections and the files that a process may open', () => {
  test('enough files: what is configured, and nothing to tell', () => {
    assert.deepEqual(shareConnections(config(10_000), 10_224), { api: 10_000, redirect: 0, ops: 64, warning: undefined })
    assert.deepEqual(shareConnections(config(10_000, 80), 65_536), { api: 10_000, redirect: 1000, ops: 64, warning: undefined })
    assert.equal(shareConnections(config(10_000), Infinity).warning, undefined)
  })

  test('too few: fewer connections, and the number that would do', () => {
    const { api, warning } = shareConnections(config(10_000), 1024)
    assert.equal(api, 800)
    assert.match(warning ?? '', /may open 1024 files, so it holds 800 connections, not the 10000 .* 10224 files would do/)
  })

  test('however few: each listener can be reached, and all together leave half of the files or the reserve', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.boolean(),
        fc.integer({ min: 16, max: 2_000_000 }),
        (most, redirects, limit) => {
          const { api, redirect, ops, warning } = shareConnections(config(most, redirects ? 80 : 0), limit)
          assert.ok(api >= 1 && api <= most && ops >= 1 && (!redirects || redirect >= 1))
          assert.ok(limit - api - redirect - ops >= Math.min(160, Math.floor(limit / 2)), `${api} + ${redirect} + ${ops} of ${limit}`)
          assert.equal(warning === undefined, 160 + 64 + most + redirect <= limit)
        },
      ),
    )
  })

  test('this process has a limit that can be read', () => {
    assert.ok(shareConnections(config(1)).api === 1)
  })
})
