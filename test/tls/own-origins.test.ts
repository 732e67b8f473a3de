import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { claimCode, goodPassword } from '../support/accounts.ts'
import { askHttp1, type Http2Client, openHttp2, type SecureAnswer, type SecureAsk } from '../support/secure-client.ts'
import { startServer, type TestServer } from '../support/server.ts'

describe('over TLS the page of the same host in plain HTTP, which anybody on the way can write, is a stranger', () => {
  let server: TestServer
  let ca = ''
  let session: Http2Client
  before(async () => {
    server = await startServer({ env: { FILMGATE_TLS_MODE: 'dev' } })
    ca = readFileSync(join(server.dataDir, 'dev-ca.pem'), 'utf8')
    session = await openHttp2({ port: server.port, ca })
  })
  after(async () => {
    await session[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })

  const both: readonly (readonly [name: string, ask: (asked: SecureAsk) => Promise<SecureAnswer>])[] = [
    ['HTTP/1.1', (asked) => askHttp1({ port: server.port, ca }, asked)],
    ['HTTP/2', (asked) => session.ask(asked)],
  ]

  for (const [protocol, ask] of both) {
    test(`votes by GET over ${protocol}: ours count, its do not, whether it says so in Origin or in Referer`, async () => {
      const own = `https://localhost:${server.port}`
      const foreign = `http://localhost:${server.port}`
      for (const [fields, recorded] of [
        [{}, true],
        [{ origin: own }, true],
        [{ referer: `${own}/index.html` }, true],
        [{ origin: foreign }, false],
        [{ referer: `${foreign}/index.html` }, false],
        [{ origin: own, referer: `${foreign}/` }, false],
        [{ origin: 'http://localhost' }, false],
        [{ origin: 'null' }, false],
      ] as const) {
        const { status, body } = await ask({ target: '/?like=1', fields })
        assert.equal(status, 200, body)
        assert.equal((JSON.parse(body) as { vote: { recorded: boolean } }).vote.recorded, recorded, JSON.stringify(fields))
      }
    })

    test(`a session cookie over ${protocol} is not given to it`, async () => {
      const body = JSON.stringify({ code: claimCode(server), username: 'ada', password: goodPassword, browser: true })
      const asked = { method: 'POST', target: '/v1/auth/claim', body }
      const fields = { 'content-type': 'application/json', origin: `http://localhost:${server.port}` }
      const refused = await ask({ ...asked, fields })
      assert.equal(refused.status, 403, refused.body)
      assert.equal(refused.headers['set-cookie'], undefined)
    })
  }
})
