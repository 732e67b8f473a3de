import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import Fastify from 'fastify'

import { systemClock as clock } from '../core/clock.ts'
import { authorization } from './authorization.ts'

const startWith = async (route?: object) => {
  const bare = Fastify()
  await bare.register(authorization, { observe: () => undefined, clock, publicPermissions: new Set<never>() })
  bare.register(async (scope) => void scope.get('/secret', route === undefined ? {} : { config: route as never }, () => 'secret'))
  await bare.ready()
  await bare.close()
}

describe('a route that does not say who may call it stops the start', () => {
  test('nothing said, something misspelt, a permission that there is not', async () => {
    for (const route of [
      undefined,
      {},
      { access: undefined },
      { access: 'pubic' },
      { access: '' },
      { access: 'films:admin' },
      { access: ['public'] },
      { access: true },
    ]) {
      await assert.rejects(startWith(route), /GET \/secret declares no access/, JSON.stringify(route))
    }
  })

  test('everything that may be said lets it start', async () => {
    for (const access of ['public', 'authenticated', 'films:write', 'ops:read']) await startWith({ access })
  })

  test('what nobody has to log in for cannot want a login of the last minutes, or a session', async () => {
    for (const route of [
      { access: 'public', freshLogin: true },
      { access: 'public', sessionOnly: true },
    ])
      await assert.rejects(startWith(route), /GET \/secret is open/)
  })
})
