import assert from 'node:assert/strict'

import { type Answer, ask } from './attack.ts'
import type { TokenListener } from './token-listener.ts'

export const present = (listener: Pick<TokenListener, 'port'>, authorization: string | readonly string[]): Promise<Answer> =>
  ask(listener, { target: '/', fields: { Authorization: authorization } })

const words = 'The credentials are not valid. Send "Authorization: Bearer" with an access token or an API key.'

/** 401 in the one set of words, on a route that is open to everybody; twice, for what was refused may have been remembered. */
export const assertRefused = async (
  listener: Pick<TokenListener, 'port' | 'events'>,
  authorization: string | readonly string[],
  { reason, challenge = 'Bearer realm="filmgate", error="invalid_token"' }: { readonly reason: string; readonly challenge?: string },
): Promise<void> => {
  for (const time of ['first', 'second']) {
    const answer = await present(listener, authorization)
    assert.equal(answer.status, 401, `${time}: ${answer.body}`)
    assert.equal(answer.field('www-authenticate'), challenge)
    assert.equal(answer.field('vary'), 'Authorization')
    const { code, detail, errors } = answer.json()
    assert.deepEqual({ code, detail, errors }, { code: 'unauthenticated', detail: words, errors: undefined })
    const event = listener.events.at(-1)
    assert.ok(event?.event === 'authn_login_fail')
    // The reason shows that the attack was met where it was meant to be, and did not stumble before.
    assert.equal(event.reason, reason)
  }
}

export const assertAccepted = async (listener: Pick<TokenListener, 'port'>, token: string, subject: string): Promise<void> => {
  const answer = await present(listener, `Bearer ${token}`)
  assert.deepEqual([answer.status, answer.json()['subject']], [200, subject], answer.body)
}
