import type { FastifyRequest } from 'fastify'

import type { Asker, HashGate } from '../../../credentials/hash-gate.ts'
import { hashPassword, needsRehash, verifyPassword } from '../../../credentials/password-hash.ts'
import type { CommonPasswords } from './common-passwords.ts'
import type { Passwords } from '../parts.ts'
import { lengthOf, tooObvious } from './password-rules.ts'
import { passwordLength } from '../schema.ts'

export interface PasswordsOptions {
  readonly gate: HashGate
  readonly commonPasswords: CommonPasswords
  /** Those of the issuer and the public URL: see `wordsOf`. */
  readonly words: readonly string[]
}

export const createPasswords = ({ gate, commonPasswords, words }: PasswordsOptions): Passwords => {
  const mistakeOf = async (password: string, username: string): Promise<string | undefined> => {
    if (!password.isWellFormed()) return 'must not hold half a character (a lone surrogate)'
    const length = lengthOf(password)
    if (length < passwordLength.min) return `must have at least ${passwordLength.min} characters`
    if (length > passwordLength.max) return `must have at most ${passwordLength.max} characters`
    const obvious = tooObvious(password, { username, words })
    if (obvious !== undefined) return obvious
    return (await commonPasswords.has(password)) ? 'is known from a breach: choose another one' : undefined
  }
  return {
    hash: (password, request) => gate.run(() => hashPassword(password), askerOf(request)),
    verify: (password, stored, request) =>
      gate.run(async () => {
        const ok = await verifyPassword(password, stored)
        if (!ok || stored === null || !needsRehash(stored)) return { ok }
        return { ok, rehash: await hashPassword(password) }
      }, askerOf(request)),
    mistake: async (password, pointer, { username }) => {
      const detail = await mistakeOf(password, username.toLowerCase())
      return detail === undefined ? undefined : { pointer, detail }
    },
  }
}

const askerOf = (request: FastifyRequest | undefined): Asker | undefined =>
  // Not whether the request is destroyed: it is as soon as its body was read. Over HTTP/2 a client gives up one request, and keeps its connection.
  request && { client: request.client.prefix, isGone: () => request.raw.socket.destroyed || request.raw.aborted }
