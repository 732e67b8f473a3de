import type { ApiDescription } from '../../src/api/site/document.ts'
import { deterministicId } from './identity.ts'
import type { Expected, Sample } from './samples.ts'

export const defaultHost = 'http://127.0.0.1:3000'

/** A Postman collection in format 2.1.0, which newman and most other tools read. */
export const postmanCollection = ({ info, tags }: ApiDescription, samples: readonly Sample[]): object => ({
  info: {
    _postman_id: deterministicId('collection'),
    name: info['title'],
    description: info['description'],
    schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json',
  },
  variable: [
    { key: 'baseUrl', value: defaultHost, type: 'string' },
    { key: 'apiKey', value: '', type: 'string', description: 'What stands in starter.key in the data folder of the server.' },
    { key: 'operatorKey', value: '', type: 'string', description: 'A key with the permissions security:read and security:write.' },
  ],
  item: tags.map(({ name, description }) => ({
    name,
    description,
    item: samples.filter(({ folder }) => folder === name).map(itemOf),
  })),
})

const itemOf = (sample: Sample): object => {
  const { name, description, method, key, body, expected } = sample
  return {
    id: deterministicId(`postman ${name}`),
    name,
    request: {
      method,
      description,
      auth:
        key === undefined ? { type: 'noauth' } : { type: 'bearer', bearer: [{ key: 'token', value: `{{${key}}}`, type: 'string' }] },
      header: body === undefined ? [] : [{ key: 'Content-Type', value: 'application/json' }],
      ...(body === undefined ? {} : { body: { mode: 'raw', raw: JSON.stringify(body, null, 2), options: { raw: { language: 'json' } } } }),
      url: urlOf(sample),
    },
    event: [{ listen: 'test', script: { type: 'text/javascript', exec: testsOf(expected) } }],
    response: [],
  }
}

const urlOf = ({ target }: Sample): object => {
  const { pathname, searchParams } = new URL(target, defaultHost)
  const query = [...searchParams].map(([key, value]) => ({ key, value }))
  return {
    raw: `{{baseUrl}}${target}`,
    host: ['{{baseUrl}}'],
    path: pathname.slice(1).split('/'),
    ...(query.length === 0 ? {} : { query }),
  }
}

const testsOf = ({ statuses, mediaType, schema, code }: Expected): string[] => {
  const wanted = statuses.join(' or ')
  return [
    `pm.test('the status is ${wanted}', () => pm.expect(pm.response.code).to.be.oneOf(${JSON.stringify(statuses)}))`,
    `pm.test('the answer names its request and tells what is left of the quotas', () => {`,
    `  for (const name of ['X-Request-Id', 'RateLimit-Policy', 'RateLimit']) pm.response.to.have.header(name)`,
    `})`,
    ...(mediaType === undefined
      ? []
      : [`pm.test('the answer is ${mediaType}', () => pm.expect(pm.response.headers.get('Content-Type')).to.include('${mediaType}'))`]),
    ...(schema === undefined
      ? []
      : [`pm.test('the answer has its shape', () => pm.response.to.have.jsonSchema(${JSON.stringify(schema)}))`]),
    ...(code === undefined ? [] : [`pm.test('the code is ${code}', () => pm.expect(pm.response.json().code).to.equal('${code}'))`]),
    ...(statuses.includes(405) ? [`pm.test('Allow says what is possible', () => pm.response.to.have.header('Allow'))`] : []),
  ]
}
