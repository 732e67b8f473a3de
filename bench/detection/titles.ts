/** Good traffic: what real films are called, much of which looks like an attack to whoever only reads it. */
import { readFileSync } from 'node:fs'

import { addressOf, addressOf6 } from './addresses.ts'
import { keyHolder } from './attackers.ts'
import { good } from './crowd.ts'
import type { Scenario } from './scenario.ts'

const lapse = { limits: 'raised', lapse: true } as const

/** All titles of a real list, which is dirty on purpose: some are numbers, some are garbled. */
const titles = (): readonly string[] => {
  const file = new URL('../../node_modules/vega-datasets/data/movies.json', import.meta.url)
  const all = JSON.parse(readFileSync(file, 'utf8')) as readonly { readonly Title: string | number | null }[]
  return all.map(({ Title }) => String(Title ?? ''))
}

/** Each of 400 people asks for eight films within three minutes, in one of four ways, all of which are refused. */
const titlesAsked = good(
  '3,200 real titles as queries of 400 people, on routes that refuse them',
  async (field) => {
    for (const [i, title] of titles().entries()) {
      field.pass(20)
      const n = Math.floor(i / 8)
      const person = field.visitor(n % 2 === 0 ? addressOf(200 + n) : addressOf6(200 + n))
      const text = encodeURIComponent(title)
      await person.ask([`/?q=${text}`, `/v1/films?q=${text}`, `/v1/films/${text}`, `/?like=${text}`][n % 4] ?? '/')
    }
  },
  lapse,
)

const titlesAdded = good(
  '3,200 real titles as new films, one a second, one in 40 with a row that is wrong',
  async (field) => {
    const { key } = await keyHolder(field, 'editor', ['films:write'])
    const visitor = field.visitor(addressOf(140), { userAgent: 'python-requests/2.32.3' }).as(key)
    for (const [i, name] of titles().entries()) {
      field.pass(1)
      await visitor.ask('/add_film', { method: 'POST', body: i % 40 === 7 ? { name, year: 'unknown' } : { name } })
    }
  },
  lapse,
)

export const titled: readonly Scenario[] = [titlesAsked, titlesAdded]
