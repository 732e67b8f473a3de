import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { Journal, type JournalEntry } from './journal.ts'
import type { EndedRequest } from './signal.ts'

const event = (client: string | null, requestId: string | null = null): JournalEntry['entry'] => ({
  event: 'malicious_extraneous',
  requestId,
  client,
  reason: 'bad_request',
})
const seqs = (entries: readonly JournalEntry[]): readonly number[] => entries.map(({ seq }) => seq)
const all = (journal: Journal): readonly number[] => seqs(journal.recent(() => true, Infinity))

describe('what the journal holds', () => {
  test('a client that makes noise pushes out nothing but its own', () => {
    const journal = new Journal({ capacity: 100, share: 10 })
    journal.add(0, event('192.0.2.1', 'quiet'))
    journal.add(0, event(null))
    for (let i = 0; i < 10_000; i++) journal.add(i, event('192.0.2.2', `noise ${i}`))
    assert.equal(journal.size, 12)
    assert.equal(journal.ofRequest('quiet').length, 1)
    assert.equal(journal.ofRequest('noise 9999').length, 1)
    assert.equal(journal.ofRequest('noise 9989').length, 0)
    assert.deepEqual(all(journal).slice(-2), [2, 1])
  })

  test('an IPv6 site has one share, however many of its prefixes it uses', () => {
    const journal = new Journal({ capacity: 100, share: 10 })
    journal.add(0, event('2001:db8:2::/64'))
    for (let i = 0; i < 1000; i++) journal.add(i, event(`2001:db8:1:${i.toString(16)}::/64`))
    assert.equal(journal.size, 11)
  })

  test('a thousand clients stay below its capacity, and the oldest go', () => {
    const journal = new Journal({ capacity: 100, share: 10 })
    for (let i = 0; i < 5000; i++) journal.add(i, event(`198.51.${i % 100}.${i % 250}`))
    assert.equal(journal.size, 100)
    assert.deepEqual(all(journal), seqs(journal.after(4900, 1000).entries).toReversed())
  })

  test('one name for all requests, as a proxy may let clients choose it, is bounded', () => {
    const journal = new Journal({ capacity: 1000, share: 500 })
    for (let i = 0; i < 5000; i++) journal.add(i, event(`192.0.2.${i % 250}`, 'the same'))
    const found = seqs(journal.ofRequest('the same'))
    assert.ok(found.length <= 50 && found.at(-1) === 5000)
  })

  test('a refused request is found by its id, with nothing that its client wrote', () => {
    const journal = new Journal()
    const request: EndedRequest = {
      epochMs: 5,
      requestId: 'abc',
      method: 'GET',
      route: '/v1/films/:id',
      status: 429,
      durationMs: 1,
      verdict: 'quota_exceeded',
      userAgent: 'a secret',
      client: { address: '192.0.2.1', prefix: '192.0.2.1' },
      principal: null,
      isForeign: false,
      target: '/v1/films/1?token=secret',
      params: { id: 'secret' },
      body: { password: 'secret' },
    }
    journal.refused(request)
    journal.refused({ ...request, verdict: 'aborted', requestId: 'gone' })
    assert.doesNotMatch(JSON.stringify(journal.ofRequest('abc')), /secret/)
    assert.deepEqual(journal.ofRequest('gone'), [])
    const [found] = journal.ofRequest('abc')
    assert.deepEqual(found?.entry, {
      event: 'request',
      requestId: 'abc',
      client: '192.0.2.1',
      method: 'GET',
      route: '/v1/films/:id',
      status: 429,
      verdict: 'quota_exceeded',
      subject: null,
      credential: null,
    })
  })
})

test('whatever comes, in whatever order: bounded, in order, and nothing is lost without being counted', () => {
  const client = fc.oneof(
    fc.constant(null),
    fc.nat(5).map((n) => `192.0.2.${n}`),
    fc.nat(3).map((n) => `2001:db8:${n}::/64`),
  )
  fc.assert(
    fc.property(fc.array(client, { maxLength: 300 }), fc.nat(300), fc.integer({ min: 1, max: 40 }), (clients, from, most) => {
      const journal = new Journal({ capacity: 30, share: 7 })
      const kept: (string | null)[] = []
      clients.forEach((one, i) => {
        journal.add(i, event(one, String(i % 20)))
        kept.push(one)
      })
      const held = all(journal)
      assert.ok(held.length <= 30 && held.length === journal.size)
      assert.deepEqual(
        held,
        held.toSorted((a, b) => b - a),
      )
      for (const one of new Set(clients)) assert.ok(held.filter((seq) => clients[seq - 1] === one).length <= 7)
      // What is read page by page is all that is held, and with what is missing it is all there ever was.
      let [place, seen, lost] = [Math.min(from, clients.length), 0, 0]
      const start = place
      for (let page = journal.after(place, most); page.entries.length > 0; page = journal.after(place, most)) {
        seen += page.entries.length
        lost += page.missing
        place = page.entries.at(-1)?.seq ?? place
      }
      lost += journal.after(place, most).missing
      assert.equal(seen + lost, clients.length - start)
      assert.equal(seen, held.filter((seq) => seq > start).length)
      for (let id = 0; id < 20; id++)
        assert.deepEqual(seqs(journal.ofRequest(String(id))), held.filter((seq) => (seq - 1) % 20 === id).toReversed())
      assert.deepEqual(seqs(journal.recent(() => true, most, from)), held.filter((seq) => seq < from).slice(0, most))
    }),
  )
})

test('who follows hears of each entry, until it has heard enough', () => {
  const journal = new Journal()
  let heard = 0
  const end = journal.follow(() => heard++)
  journal.add(0, event(null))
  end()
  journal.add(0, event(null))
  assert.deepEqual([heard, journal.newest], [1, 2])
})
