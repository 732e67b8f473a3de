import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { clientIdentity, Limits } from './limits.ts'
import { createMemoryStore } from './memory-store.ts'
import { parseLimits } from './notation.ts'
import type { Identity, Quota } from './store.ts'

const minuteMs = 60_000
const quotas: readonly Quota[] = [{ scope: 'films', windows: parseLimits('3 per minute') }]

/** A store that is full of clients of their own, one log each, of networks that nobody else is in. */
const full = (maxTrackedClients: number) => {
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs }
  const store = createMemoryStore({ clock, maxTrackedClients })
  const take = (identity: Identity, limits = quotas): boolean => store.consume(identity, limits, 1).allowed
  const fill = (name: string): void => {
    for (let index = 0; index < store.capacity; index++) take({ id: `${name}-${index}`, wider: `${name}-net-${index}` })
  }
  fill('known')
  return { clock, store, take, fill }
}

const admitted = (take: (identity: Identity) => boolean, identities: readonly Identity[], rounds: number): number => {
  let count = 0
  for (let round = 0; round < rounds; round++) for (const identity of identities) if (take(identity)) count++
  return count
}

const network = (name: string): readonly Identity[] => Array.from({ length: 50 }, (_, i) => ({ id: `${name}.${i}`, wider: name }))

describe('when the table is full', () => {
  test('the newcomers of one network share one limit, and another network is not touched', () => {
    const { store, take } = full(50)
    assert.equal(admitted(take, network('10.0.0.0/24'), 5), 3)
    assert.equal(admitted(take, network('10.0.1.0/24'), 5), 3)
    assert.equal(admitted(take, [{ id: 'known-0' }], 5), 2)
    assert.ok(store.overflowed > 0 && store.tracked === store.capacity + 2)
  })

  test('beyond the reserve all other networks share one, and so do clients without a network', () => {
    const { store, take } = full(16)
    const reserve = Math.floor(store.capacity / 16)
    const networks = Array.from({ length: 100 }, (_, i) => network(`net-${i}`))
    assert.equal(admitted(take, networks.flat(), 5), 3 * reserve + 3)
    assert.equal(admitted(take, [{ id: 'nowhere' }], 5), 0)
    assert.equal(store.tracked, store.capacity + reserve + 1)
  })

  test('a newcomer after there is room again begins with what his network has used, and then goes on alone', () => {
    const { clock, store, take } = full(16)
    clock.nowMs = 30_000
    const [late, later, latest] = network('10.0.0.0/24') as [Identity, Identity, Identity]
    assert.ok(take(late) && take(late))
    clock.nowMs = minuteMs + 3000
    assert.equal(admitted(take, [later], 5), 1)
    assert.equal(admitted(take, [latest], 5), 1)
    assert.equal(admitted(take, [{ id: 'other', wider: '10.0.1.0/24' }], 5), 3)
    assert.ok(store.tracked <= store.capacity)
  })

  test('attack: no flood of networks evicts a count, neither of a client nor of a network', () => {
    const { clock, store, take } = full(16)
    admitted(take, [{ id: 'known-1', wider: 'known-net-1' }, ...network('victim')], 5)
    for (let index = 0; index < 20_000; index++) {
      clock.nowMs += 1
      take({ id: `flood-${index}`, wider: `flood-net-${index % 5000}` })
      assert.ok(!take({ id: 'known-1', wider: 'known-net-1' }) && !take({ id: `victim.${index}`, wider: 'victim' }))
    }
    assert.ok(store.tracked <= store.capacity + Math.floor(store.capacity / 16) + 1)
  })

  test('attack: a name that looks like a network is a client of its own', () => {
    const { take } = full(16)
    assert.equal(admitted(take, network('10.0.0.0/24'), 5), 3)
    assert.equal(admitted(take, [{ id: '10.0.0.0/24', wider: 'elsewhere' }], 5), 3)
  })
})

const client = (address: string, prefix: string, net: string) => ({ address, prefix, network: net })

const sixes = (site: string) =>
  Array.from({ length: 200 }, (_, i) =>
    client(`2001:db8:${site}:${i.toString(16)}::1`, `2001:db8:${site}:${i.toString(16)}::/64`, `2001:db8:${site}::/48`),
  )

describe('the guard of total over IPv6', () => {
  const limits = new Limits({ anonymous: '1 per day', total: '5 per minute' })
  const spend = (clients: readonly ReturnType<typeof client>[], rounds: number) => {
    const store = createMemoryStore({ clock: { monotonicMs: () => 0 }, maxTrackedClients: 10_000 })
    let count = 0
    for (let round = 0; round < rounds; round++)
      for (const one of clients) if (store.consume(clientIdentity(one), limits.total(one) ?? [], 1).allowed) count++
    return count
  }
  test('attack: all prefixes of one site together get 32 times what one gets; another site is not touched', () => {
    assert.equal(spend(sixes('a').slice(0, 1), 10), 5)
    assert.equal(spend(sixes('a'), 10), 5 * 32)
    assert.equal(spend([...sixes('a'), ...sixes('b')], 10), 2 * 5 * 32)
  })

  test('IPv4 addresses of one /24 have nothing to do with each other', () => {
    const fours = Array.from({ length: 200 }, (_, i) => client(`10.0.0.${i}`, `10.0.0.${i}`, '10.0.0.0/24'))
    assert.equal(spend(fours, 10), 5 * 200)
  })

  test('a quota of the wider prefix does not count for who has none', () => {
    const store = createMemoryStore({ clock: { monotonicMs: () => 0 }, maxTrackedClients: 10 })
    const guarded = limits.total(sixes('a')[0]!) ?? []
    assert.deepEqual(
      store.consume({ id: 'x' }, guarded, 1).states.map(({ window }) => window.name),
      ['total-minute'],
    )
  })

  test('a reset of a client gives its network nothing back', () => {
    const store = createMemoryStore({ clock: { monotonicMs: () => 0 }, maxTrackedClients: 10 })
    const [one] = sixes('a')
    const guarded = limits.total(one!) ?? []
    store.consume(clientIdentity(one!), guarded, 3)
    store.reset(clientIdentity(one!))
    assert.deepEqual(
      store.peek(clientIdentity(one!), guarded).states.map(({ remaining }) => remaining),
      [5, 157],
    )
  })
})
