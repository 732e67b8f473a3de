import type { Calls } from './call-scene.ts'

const json = { 'Content-Type': 'application/json' }

/** With a key that may add films, and one that may nothing. */
export const filmCalls = ({ key, powerless }: { readonly key: string; readonly powerless: string }): Calls => {
  const newFilm = { fields: { ...json, Authorization: key }, body: '{"name":"Moana","year":2016}' }
  return {
    'GET /': [
      [200, {}],
      [200, { fields: { Authorization: key } }],
      [200, { target: '/?like=1' }],
      [200, { target: '/?like=1&dislike=2' }],
      [200, { target: '/?dislike=999999999' }],
      [400, { target: '/?like=one' }],
      [400, { target: '/?like=1&dislike=1' }],
    ],
    'POST /add_film': [
      [201, newFilm],
      [400, { ...newFilm, body: '{"name":""}' }],
      [400, { ...newFilm, body: '{"name":' }],
      [401, { ...newFilm, fields: { ...json, Authorization: null } }],
      [403, { ...newFilm, fields: { ...json, Authorization: powerless } }],
      [413, { ...newFilm, body: JSON.stringify({ name: 'x'.repeat(20_000) }) }],
      [415, { ...newFilm, fields: { 'Content-Type': 'application/x-www-form-urlencoded', Authorization: key }, body: 'name=x' }],
    ],
    'HEAD /add_film': [[200, {}]],
    'GET /v1/films/:id': [
      [200, {}],
      [200, { fields: { Authorization: key } }],
      [304, { fields: { 'If-None-Match': '*' } }],
      [400, { target: '/v1/films/x' }],
      [404, { target: '/v1/films/999999999' }],
    ],
  }
}

/** What is said of the server and of its limits; the key may nothing of it that is for operators. */
export const siteCalls = (key: string): Calls => ({
  'GET /openapi.json': [
    [200, {}],
    [200, { fields: { Authorization: key } }],
    [304, { fields: { 'If-None-Match': '*' } }],
  ],
  'GET /docs': [
    [200, {}],
    [200, { fields: { Authorization: key } }],
    [304, { fields: { 'If-None-Match': '*' } }],
  ],
  'POST /csp-report': [
    [204, { fields: { 'Content-Type': 'application/csp-report' }, body: '{"csp-report":{"document-uri":"http://localhost/"}}' }],
    [204, { fields: { 'Content-Type': 'application/reports+json' }, body: '[{"type":"deprecation","body":{}}]' }],
    [400, { fields: { 'Content-Type': 'application/reports+json' }, body: '[]' }],
  ],
  'GET /.well-known/jwks.json': [
    [200, {}],
    [304, { fields: { 'If-None-Match': '*' } }],
  ],
  'GET /v1/audit': [
    [200, {}],
    [200, { target: '?limit=1' }],
    [400, { target: '?since=yesterday' }],
    [403, { fields: { Authorization: key } }],
  ],
  'GET /v1/limits': [
    [200, {}],
    [403, { fields: { Authorization: key } }],
  ],
  'GET /v1/limits/:identity': [
    [200, {}],
    [200, { target: '/v1/limits/2001:db8::%2F48' }],
    [200, { target: '/v1/limits/@starter' }],
    [403, { fields: { Authorization: key } }],
    [404, { target: '/v1/limits/999' }],
  ],
  'DELETE /v1/limits/:identity': [
    [204, {}],
    [400, { target: '/v1/limits/frozen' }],
    [403, { fields: { Authorization: key } }],
    [404, { target: '/v1/limits/999' }],
  ],
  'GET /problems/:code': [
    [200, {}],
    [304, { fields: { 'If-None-Match': '*' } }],
    [404, { target: '/problems/nothing' }],
    [400, { target: `/problems/${'x'.repeat(65)}` }],
  ],
  'GET /.well-known/security.txt': [
    [200, {}],
    [304, { fields: { 'If-None-Match': '*' } }],
  ],
  'GET /index.html': [
    [200, {}],
    [304, { fields: { 'If-None-Match': '*' } }],
  ],
})
