import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'

import { permissionsOf, roles } from '../../src/core/access.ts'
import { openAccessApp } from '../support/access-app.ts'

const { app, database, close } = await openAccessApp()
after(close)

const page = (name: string): string => readFileSync(join(import.meta.dirname, '../../docs', name), 'utf8')

test('[ASVS 8.1.1] the roles of the documentation are those of the program', () => {
  const rows = [...page('users.md').matchAll(/^\| `(\w+)` \| ((?:`[\w:]+`(?:, )?)+) \|/gm)].map(([, role = '', added = '']) => ({
    role,
    added: [...added.matchAll(/`([\w:]+)`/g)].map(([, permission = '']) => permission),
  }))
  assert.deepEqual(
    rows.map(({ role }) => role),
    roles,
  )
  const held = new Set<string>()
  for (const [i, role] of roles.entries()) {
    for (const permission of rows[i]?.added ?? []) held.add(permission)
    assert.deepEqual([...held].toSorted(), [...permissionsOf(role)].toSorted(), role)
  }
})

test('[ASVS 6.1.3] every way in is documented, and every kind of credential', () => {
  const pages = ['login.md', 'second-factor.md', 'first-admin.md', 'access-tokens.md'].map(page).join('\n')
  const ways = app.routes.filter(({ url, method }) => url.startsWith('/v1/auth/') && method === 'POST')
  assert.ok(ways.length >= 8)
  // The documentation may write /v1/auth/{claim,login}.
  for (const { url } of ways) assert.ok(pages.includes(url), url)
  const { components } = app.description() as unknown as { components: { securitySchemes: Readonly<Record<string, unknown>> } }
  const documents = { accessToken: 'access-tokens.md', apiKey: 'api-keys.md', keyField: 'crowdsec-and-fail2ban.md' }
  assert.deepEqual(Object.keys(components.securitySchemes).toSorted(), Object.keys(documents).toSorted())
  for (const [scheme, name] of Object.entries(documents))
    assert.match(page(name), scheme === 'keyField' ? /X-Api-Key/ : /Authorization: Bearer/)
})

test('[ASVS 6.2.10] no password ends by its age: nothing remembers how old one is', async () => {
  const tables = await database.reader.introspection.getTables()
  const columns = tables.find(({ name }) => name === 'account')?.columns.map(({ name }) => name) ?? []
  assert.ok(columns.includes('password_hash'))
  assert.deepEqual(
    columns.filter((name) => /expire|_age$|password_(changed|set)/.test(name)),
    [],
  )
})

interface ObjectSchema {
  readonly type?: string
  readonly additionalProperties?: unknown
  readonly properties?: Readonly<Record<string, ObjectSchema>>
  readonly items?: ObjectSchema
  readonly anyOf?: readonly ObjectSchema[]
}

/** The objects within a schema that say nothing of further members. */
const openObjects = (schema: ObjectSchema, path: string): string[] => [
  ...(schema.type === 'object' && schema.additionalProperties === undefined ? [path] : []),
  ...Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => openObjects(inner, `${path}.${name}`)),
  ...(schema.items === undefined ? [] : openObjects(schema.items, `${path}[]`)),
  ...(schema.anyOf ?? []).flatMap((inner) => openObjects(inner, path)),
]

describe('[ASVS 8.1.2] the fields of every body and of every query are named one by one', () => {
  for (const { method, url, schema } of app.routes) {
    test(`${method} ${url}`, () => {
      for (const part of ['body', 'querystring', 'params'] as const)
        assert.deepEqual(openObjects((schema[part] ?? {}) as ObjectSchema, part), [])
    })
  }
})
