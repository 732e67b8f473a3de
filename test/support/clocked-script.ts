import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'

import { createClient, RESP_TYPES } from 'redis'

import { RedisPlanner, readDecision, receiptOf } from '../../src/layers/rate-limit/redis/plan.ts'
import { limiterScript } from '../../src/layers/rate-limit/redis/script.ts'
import type { Decision, Quota } from '../../src/layers/rate-limit/store.ts'
import { startRedis } from './redis.ts'

/** The limiter's script on a real server, with a clock in the hands of the test: whole microseconds. */
export interface ClockedScript extends AsyncDisposable {
  nowUs: number
  consume(id: string, quotas: readonly Quota[], cost: number): Promise<Decision>
  peek(id: string, quotas: readonly Quota[]): Promise<Decision>
  refund(id: string, quotas: readonly Quota[], cost: number, decision: Decision): Promise<void>
  reset(id: string): Promise<void>
  /** Any other command. */
  command(...args: readonly string[]): Promise<unknown>
}

const clockLine = "local TIME = redis.call('TIME')"

/**
 * All keys are `id` and, for the wider prefix, `id` with `-wider`. They end by the server's own clock, which does not wait for the test's:
 * so only where `ends` says so.
 */
/** On a Redis of its own, which ends with it. */
export const startClockedScript = async (): Promise<ClockedScript & { readonly url: string }> => {
  const redis = await startRedis()
  const script = await openClockedScript(redis.url, { ends: false })
  const closeScript = script[Symbol.asyncDispose].bind(script)
  const dispose = async (): Promise<void> => {
    await closeScript()
    await redis[Symbol.asyncDispose]()
  }
  // The script itself, for its clock is set on it.
  return Object.assign(script, { url: redis.url, [Symbol.asyncDispose]: dispose })
}

export const openClockedScript = async (url: string, { ends }: { ends: boolean }): Promise<ClockedScript> => {
  assert.equal(limiterScript.split(clockLine).length, 2, 'the script reads its clock in exactly one line')
  const clock = `clock ${randomUUID()}`
  const clockedScript = limiterScript.replace(clockLine, `local TIME = redis.call('LRANGE', '${clock}', 0, 1)`)
  const script = ends ? clockedScript : clockedScript.replaceAll("'PEXPIRE', key, quota[4]", "'EXISTS', key")
  assert.equal(script.includes('PEXPIRE'), ends)
  const client = createClient({ url, commandOptions: { timeout: 0, typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } } })
  client.on('error', () => undefined)
  await client.connect()
  const planner = new RedisPlanner()
  const send = async (...args: readonly (string | Buffer)[]): Promise<unknown> => client.sendCommand([...args])
  const hash = String(await send('SCRIPT', 'LOAD', script))
  let shown = -1
  const run = async (operation: string, id: string, plan: Buffer, cost: number, receipt: Buffer): Promise<Buffer> => {
    if (shown !== clocked.nowUs) {
      shown = clocked.nowUs
      void send('DEL', clock)
      void send('RPUSH', clock, String(Math.floor(shown / 1e6)), String(shown % 1e6))
    }
    const answer = await send('EVALSHA', hash, '2', id, `${id}-wider`, '9e15', operation, plan, String(cost), receipt)
    assert.ok(Buffer.isBuffer(answer))
    return answer
  }
  const none = Buffer.alloc(0)
  const decide = async (operation: string, id: string, quotas: readonly Quota[], cost: number): Promise<Decision> => {
    const plan = planner.plan(quotas, true)
    const answer = await run(operation, id, plan.encoded, cost, none)
    return readDecision(plan, answer, 8, answer.readDoubleLE(0), cost)
  }
  const clocked: ClockedScript = {
    nowUs: 1_800_000_000_000_000,
    consume: (id, quotas, cost) => decide('consume', id, quotas, cost),
    peek: (id, quotas) => decide('peek', id, quotas, 0),
    refund: async (id, quotas, cost, decision) => {
      const plan = planner.plan(quotas, true)
      await run('refund', id, plan.encoded, cost, receiptOf(plan, decision))
    },
    reset: async (id) => void (await run('reset', id, none, 0, none)),
    command: send,
    [Symbol.asyncDispose]: async () => client.destroy(),
  }
  return clocked
}
