import assert from 'node:assert/strict'
import { test } from 'node:test'

import { databases } from '../support/databases.ts'
import { createLedger, type Ledger, voterEnv } from '../support/ledger.ts'
import { type Random, seededRandom } from '../support/random.ts'
import { startServer, type TestServer } from '../support/server.ts'

const rounds = 20
const writers = 32

for (const kind of databases) {
  const name = `SIGKILL at random moments on ${kind.name}: every acknowledged vote and film is there, ${rounds} times`
  test(name, { skip: kind.missing }, async (t) => {
    const random = seededRandom(t)
    await using place = await kind.place()
    const options = { dataDir: place.dataDir, env: { ...place.env, ...voterEnv } }
    const ledger = createLedger()
    for (let round = 0; round < rounds; round++) {
      await using server = await startServer(options)
      await ledger.verify(place)
      // Small numbers too: the first writes after a start meet a fresh log.
      const fatal = ledger.count('acknowledged') + 1 + random.below(random.often(0.3) ? 5 : 600)
      await writeUntilDead(server, ledger, random, fatal)
      assert.equal(await server.kill('SIGKILL'), null, 'died of the signal, not of itself')
      await place.left()
    }
    await using server = await startServer(options)
    await ledger.verify(place)
    assert.equal((await ledger.addFilm(server)).fate, 'acknowledged')
    assert.equal((await ledger.vote(server, '10.99.0.1', 1, 1)).fate, 'acknowledged')
    await ledger.verify(place)
    assert.equal(await server.kill('SIGTERM'), 0)
    await ledger.verify(place)
    t.diagnostic(`${ledger.count('acknowledged')} writes acknowledged, ${ledger.count('unknown')} cut off by ${rounds} kills`)
    assert.equal(ledger.count('refused'), 0)
    assert.ok(ledger.count('unknown') >= rounds, 'the kills met writes in flight')
  })
}

/** Writes with many clients at once; the one whose answer is number `fatal` kills the server, whatever the others have in flight. */
const writeUntilDead = async (server: TestServer, ledger: Ledger, random: Random, fatal: number): Promise<void> => {
  let alive = true
  const write = async (writer: number): Promise<void> => {
    while (alive) {
      // Few films and few voters of its own: most votes replace an earlier one.
      const voter = `10.0.${writer}.${random.below(4)}`
      const { fate } = random.often(0.15)
        ? await ledger.addFilm(server)
        : await ledger.vote(server, voter, 1 + random.below(12), random.often(0.5) ? 1 : -1)
      if (fate === 'unknown') return
      if (alive && ledger.count('acknowledged') >= fatal) {
        alive = false
        server.process.kill('SIGKILL')
      }
    }
  }
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)))
}
