import assert from 'node:assert/strict'
import type { TLSSocket } from 'node:tls'

import type { Proxy } from '../support/proxies.ts'
import { connectTo, fieldOf, type Reply, requestText, talk } from './wire.ts'

export const victimAddress = '127.0.0.3'

export interface Victim extends Disposable {
  ask(target: string): Promise<Reply>
  /** Several requests, each for another film, and each answered with that film. */
  askInTurn(): Promise<void>
}

/** An honest client with a connection of its own, whose requests go over the same connections to Filmgate as those of an attacker. */
export const createVictim = (proxy: Proxy): Victim => {
  let socket: TLSSocket | undefined
  let film = 1
  const ask = async (target: string): Promise<Reply> => {
    socket ??= await connectTo(proxy, { from: victimAddress })
    const { replies, rest } = await talk(socket, requestText({ target }), { answers: 1, keep: true })
    const [reply] = replies
    assert.ok(reply, `${proxy.name} gave the victim no answer`)
    assert.deepEqual([replies.length, rest], [1, ''], 'more than the one answer')
    // nginx ends a connection after 1000 requests.
    if (fieldOf(reply, 'connection') === 'close') {
      socket.destroy()
      socket = undefined
    }
    return reply
  }
  const askInTurn = async (): Promise<void> => {
    for (let i = 0; i < 3; i++) {
      film = (film % 50) + 1
      const reply = await ask(`/v1/films/${film}`)
      assert.equal(reply.status, 200, reply.body)
      assert.equal((JSON.parse(reply.body) as { id: number }).id, film, 'the answer of somebody else')
    }
  }
  return { ask, askInTurn, [Symbol.dispose]: () => void socket?.destroy() }
}
