import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'

import { NoQuery } from '../../films/schema.ts'
import { clearing, givenToken } from './browser-mode.ts'
import { createLogin, type LoginOptions } from './login.ts'
import { createLogout, type EndingOptions } from './logout.ts'
import { createRefresh, type RefreshOptions } from './refresh.ts'
import { Tokens } from '../schema.ts'
import { loginDescription, logoutDescription, refreshDescription } from './session-descriptions.ts'
import { LoginAnswer, LoginBody, RefreshBody } from './session-schema.ts'

export type LoginRoutesOptions = LoginOptions & RefreshOptions & EndingOptions

/** What nobody meets who means well, an office behind one address included; wrong guesses have limits of their own, and far lower ones. */
const limits = {
  login: { only: '60 per minute; 1000 per hour' },
  // An access token lives for five minutes: this is a refresh every three for 300 people behind one address.
  refresh: { only: '20 per second; 6000 per hour' },
} as const

/** In and out. */
export const loginRoutes = (server: FastifyInstance, options: LoginRoutesOptions): void => {
  const app = server.withTypeProvider<TypeBoxTypeProvider>()
  const { publicOrigin } = options
  const [login, refresh, logout] = [createLogin(options), createRefresh(options), createLogout(options)]

  app.post(
    '/v1/auth/login',
    {
      schema: { ...loginDescription, querystring: NoQuery, body: LoginBody, response: { 200: LoginAnswer } },
      config: { access: 'public', limits: limits.login },
    },
    (request, reply) => login(request, reply, request.body),
  )

  app.post(
    '/v1/auth/refresh',
    {
      schema: { ...refreshDescription, querystring: NoQuery, body: RefreshBody, response: { 200: Tokens } },
      config: { access: 'public', limits: limits.refresh },
    },
    (request, reply) => refresh(request, reply, givenToken(request, request.body, publicOrigin)),
  )

  app.post(
    '/v1/auth/logout',
    { schema: { ...logoutDescription, querystring: NoQuery, body: RefreshBody }, config: { access: 'public', limits: limits.refresh } },
    async (request, reply) => {
      const given = givenToken(request, request.body, publicOrigin)
      await logout(request, given)
      if (given?.byCookie === true) void reply.headers(clearing)
      return reply.code(204).send()
    },
  )
}
