import type { ApiDescription } from '../../src/api/site/document.ts'
import { filledVariables, givenVariables } from './course.ts'
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
    ...givenVariables.map((variable) => ({ ...variable, type: 'string' })),
    ...filledVariables.map((key) => ({ key, value: '', type: 'string', description: 'Filled by the calls.' })),
  ],
  item: [...Map.groupBy(samples, ({ folder }) => folder)].map(([name, inFolder]) => ({
    name,
    description: tags.find((tag) => tag.name === name)?.description,
    item: inFolder.map(itemOf),
  })),
})

const itemOf = (sample: Sample): object => {
  const { name, description, method, key, body, bodyType } = sample
  return {
    id: deterministicId(`postman ${name}`),
    name,
    request: {
      method,
      description,
      auth: key === undefined ? { type: 'noauth' } : { type: 'bearer', bearer: [{ key: 'token', value: `{{${key}}}`, type: 'string' }] },
      header: body === undefined ? [] : [{ key: 'Content-Type', value: bodyType }],
      ...(body === undefined ? {} : { body: { mode: 'raw', raw: JSON.stringify(body, null, 2), options: { raw: { language: 'json' } } } }),
      url: urlOf(sample),
    },
    event: eventsOf(sample),
    response: [],
  }
}

/** By hand: a variable is no part of an address that URL would leave as it is. */
const urlOf = ({ target }: Sample): object => {
  const [pathname = '', search] = target.split('?')
  const query = search?.split('&').map((pair) => ({ key: pair.split('=')[0], value: pair.slice(pair.indexOf('=') + 1) }))
  return {
    raw: `{{baseUrl}}${target}`,
    host: ['{{baseUrl}}'],
    path: pathname.slice(1).split('/'),
    ...(query === undefined ? {} : { query }),
  }
}

const script = (listen: string, exec: readonly string[]) => ({ listen, script: { type: 'text/javascript', exec } })

const eventsOf = ({ expected, sets = {}, computes }: Sample): object[] => {
  const tests = script('test', [...testsOf(expected), ...setsOf(sets)])
  return computes === undefined ? [tests] : [script('prerequest', totpCode), tests]
}

/** A member that is not there leaves the variable as it was: what needs it then fails by itself. */
const setsOf = (sets: Readonly<Record<string, string>>): string[] =>
  Object.entries(sets).map(
    ([variable, member]) =>
      `if (pm.response.code < 300) pm.collectionVariables.set('${variable}', pm.response.json()${member.replaceAll(/(?:^|\.)([^.]+)/g, "['$1']")})`,
  )

/** RFC 6238 with the parameters that the server names in its otpauth address, in what Postman has built in. */
const totpCode: readonly string[] = [
  `const { enc, HmacSHA1 } = require('crypto-js')`,
  `const five = (letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')`,
  `const bits = [...pm.collectionVariables.get('totpSecret')].map(five).join('')`,
  `const key = bits.match(/.{4}/g).map((four) => parseInt(four, 2).toString(16)).join('')`,
  `const step = Math.floor(Date.now() / 30000).toString(16).padStart(16, '0')`,
  `const mac = HmacSHA1(enc.Hex.parse(step), enc.Hex.parse(key)).toString()`,
  `const at = parseInt(mac.slice(-1), 16) * 2`,
  `const code = (parseInt(mac.slice(at, at + 8), 16) & 0x7fffffff) % 1000000`,
  `pm.collectionVariables.set('totpCode', String(code).padStart(6, '0'))`,
]

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
