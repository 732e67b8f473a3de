import type { FastifyPluginCallback } from 'fastify'

import { wholeServer } from '../../core/plugin.ts'

/** Tells of requests as they begin. Registered right behind the access log, so that it hears of those that the log will tell of, and no others. */
export const begunRequests: FastifyPluginCallback<{ readonly begun: () => void }> = wholeServer(
  'begun-requests',
  (app, { begun }, done) => {
    app.addHook('onRequest', (_request, _reply, next) => {
      begun()
      next()
    })
    done()
  },
  ['access-log'],
)
