import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { createTestAuthority } from '../../test/support/tls-material.ts'
import { judgePair, type Pair } from './pair.ts'
import type { LoadedPair } from './pair-files.ts'
import { createPairWatch } from './pair-watch.ts'

const authority = await createTestAuthority()
const makePair = async (): Promise<Pair> => {
  const judged = judgePair(await authority.issue(), { names: [], nowMs: Date.now() })
  assert.ok('pair' in judged)
  return judged.pair
}
const [first, second, third] = await Promise.all([makePair(), makePair(), makePair()])
const broken = { mistakes: [{ key: 'tls.key', message: 'is not the key' } as const] }

type Content = { readonly pair: Pair } | typeof broken

/** Files that the test changes, and all that the watch said. */
const createScene = () => {
  let stamp = 0
  let content: Content = { pair: first }
  let loads = 0
  const replaced: Pair[] = []
  let refusals = 0
  const watch = createPairWatch({
    source: {
      stamp: () => Promise.resolve(String(stamp)),
      load: () => {
        loads++
        return Promise.resolve<LoadedPair>({ ...content, stamp: String(stamp) })
      },
    },
    first: { pair: first, stamp: '0' },
    onReplaced: (pair) => void replaced.push(pair),
    onRefused: () => void refusals++,
  })
  return {
    ...watch,
    write: (next: Content) => {
      content = next
      stamp++
    },
    looks: async (times: number) => {
      for (let i = 0; i < times; i++) await watch.look()
    },
    replaced,
    refusals: () => refusals,
    loads: () => loads,
  }
}

test('nothing changed: nothing is read', async () => {
  const scene = createScene()
  await scene.looks(50)
  assert.deepEqual([scene.loads(), scene.replaced.length, scene.refusals()], [0, 0, 0])
})

test('a good pair is taken once it was the same in two looks', async () => {
  const scene = createScene()
  scene.write({ pair: second })
  await scene.looks(1)
  assert.deepEqual([scene.loads(), scene.replaced.length], [0, 0])
  await scene.looks(20)
  assert.deepEqual(scene.replaced, [second])
})

test('half a pair is no mistake as long as the other half may be on its way', async () => {
  const scene = createScene()
  scene.write(broken)
  await scene.looks(4)
  scene.write({ pair: second })
  await scene.looks(4)
  assert.deepEqual([scene.refusals(), scene.replaced.length], [0, 1])
})

test('a pair that stays wrong is told of once, is known as refused, and is forgotten when a good one comes', async () => {
  const scene = createScene()
  scene.write(broken)
  await scene.looks(30)
  assert.equal(scene.refusals(), 1)
  assert.deepEqual(scene.refused(), broken.mistakes)
  scene.write({ pair: third })
  await scene.looks(3)
  assert.deepEqual([scene.replaced, scene.refused()], [[third], []])
})

test('back to the pair in force: no news, and nothing is refused any more', async () => {
  const scene = createScene()
  scene.write(broken)
  await scene.looks(10)
  scene.write({ pair: first })
  await scene.looks(10)
  assert.deepEqual([scene.replaced.length, scene.refused()], [0, []])
})

test('asked to reload: at once, and told again each time', async () => {
  const scene = createScene()
  scene.write({ pair: second })
  await scene.reload()
  assert.deepEqual(scene.replaced, [second])
  scene.write(broken)
  await scene.reload()
  await scene.reload()
  assert.equal(scene.refusals(), 2)
})

test('a server that cannot take a pair is told of it, and goes on looking', async () => {
  let isFull = true
  const taken: Pair[] = []
  let stamp = '1'
  const watch = createPairWatch({
    source: { stamp: () => Promise.resolve(stamp), load: () => Promise.resolve({ pair: isFull ? second : third, stamp }) },
    first: { pair: first, stamp: '0' },
    onReplaced: (pair) => {
      if (isFull) throw new Error('no room')
      taken.push(pair)
    },
    onRefused: () => assert.fail(),
  })
  await assert.rejects(watch.reload(), /no room/)
  isFull = false
  stamp = '2'
  await watch.reload()
  assert.deepEqual(taken, [third])
})

test('whatever happens to the files, what is in force was good, and in the end it is what stands there', async () => {
  const step = fc.constantFrom<Content | 'look' | 'reload'>({ pair: first }, { pair: second }, { pair: third }, broken, 'look', 'reload')
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.constantFrom(first, second, third), async (steps, last) => {
      const scene = createScene()
      for (const one of steps) {
        if (one === 'look') await scene.look()
        else if (one === 'reload') await scene.reload()
        else scene.write(one)
      }
      scene.write({ pair: last })
      await scene.looks(3)
      assert.equal((scene.replaced.at(-1) ?? first).material.cert, last.material.cert)
      assert.deepEqual(scene.refused(), [])
      // Never the same twice in a row: each replacement is news.
      const order = [first, ...scene.replaced]
      assert.ok(order.every((pair, i) => i === 0 || pair.material.cert !== order[i - 1]?.material.cert))
    }),
  )
})
