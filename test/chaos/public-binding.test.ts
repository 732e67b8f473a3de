import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { describe, test } from 'node:test'

import { claimAdmin, goodPassword } from '../support/accounts.ts'
import { runCommand } from '../support/command.ts'
import { databases } from '../support/databases.ts'
import { runToEnd, startServer } from '../support/server.ts'

const proxied = { FILMGATE_SERVER_TRUSTED_PROXIES: '127.0.0.1/32' }

test('without a proxy in front no public address: exit 2, both are named', async () => {
  for (const host of ['0.0.0.0', '::', '192.0.2.7', 'films.example.com']) {
    const { code, stderr, stdout } = await runToEnd({ env: { FILMGATE_SERVER_HOST: host, FILMGATE_OPS_HOST: host } })
    assert.equal(code, 2, host)
    assert.match(stderr, /FILMGATE_SERVER_HOST: server\.host is not a loopback address.* without TLS.* server\.trusted_proxies/)
    assert.match(stderr, /FILMGATE_OPS_HOST: ops\.host is not a loopback address/)
    assert.doesNotMatch(stderr + stdout, /listens on|sys_startup/)
  }
})

test('what is no address is refused as such', async () => {
  const { code, stderr } = await runToEnd({ env: { ...proxied, FILMGATE_SERVER_HOST: '10.0.0.0/8' } })
  assert.equal(code, 2)
  assert.match(stderr, /FILMGATE_SERVER_HOST: server\.host is not an address or a name of this machine/)
})

/** An address of this machine that others reach it by. */
const ownAddress = Object.values(networkInterfaces())
  .flat()
  .find((one) => one?.family === 'IPv4' && !one.internal)?.address

for (const kind of databases) {
  describe(`a public address on ${kind.name}`, { skip: kind.missing }, () => {
    test('is refused until there is an admin, then served; a claim on loopback makes one', async () => {
      await using place = await kind.place()
      const { dataDir } = place
      const env = { ...place.env, ...proxied, FILMGATE_SERVER_HOST: '0.0.0.0', FILMGATE_OPS_HOST: '0.0.0.0' }
      const { code, stderr, stdout } = await runToEnd({ dataDir, env })
      assert.equal(code, 2, stderr)
      for (const key of ['FILMGATE_SERVER_HOST: server.host', 'FILMGATE_OPS_HOST: ops.host'])
        assert.ok(stderr.includes(`${key} is not a loopback address, and there is no admin yet`), stderr)
      assert.match(stderr, /filmgate user add NAME --role admin/)
      assert.doesNotMatch(stderr + stdout, /listens on|sys_startup/)
      {
        await using loopback = await startServer({ dataDir, env: place.env })
        await claimAdmin(loopback)
        assert.equal(await loopback.kill('SIGTERM'), 0)
      }
      await using server = await startServer({ dataDir, env })
      for (const host of ['127.0.0.1', ...(ownAddress === undefined ? [] : [ownAddress])]) {
        // By an address that is no name of it: it is there, and answers that it is not called so.
        const answer = await fetch(`http://${host}:${server.port}/`)
        assert.equal(answer.status, host === '127.0.0.1' ? 200 : 421)
      }
    })

    test('an admin by the command line is one, too', async () => {
      await using place = await kind.place()
      const { dataDir } = place
      const added = await runCommand(['user', 'add', 'ada', '--role', 'admin', '--password-stdin'], {
        dataDir,
        env: place.env,
        input: goodPassword,
      })
      assert.equal(added.code, 0, added.stderr)
      await using server = await startServer({ dataDir, env: { ...place.env, ...proxied, FILMGATE_SERVER_HOST: '0.0.0.0' } })
      assert.doesNotMatch(server.stderr(), /no admin yet|claim/)
    })
  })
}
