import type { RouteDescription } from '../../layers/index.ts'

/** What the description of the API says of the routes beside it. */
const tags = ['About'] as const

const cacheable = {
  200: { description: 'The document.', headers: ['ETag'] },
  304: { description: 'It is still what you have.', headers: ['ETag'] },
} as const

export const describeSelf = {
  operationId: 'apiDescription',
  summary: 'This description',
  description: 'The API in OpenAPI 3.1, made from the table of routes that the server answers by.',
  tags,
  answers: cacheable,
} as const satisfies RouteDescription

export const describeDocs = {
  operationId: 'docs',
  summary: 'The description for people',
  description: 'The same as a page to read: every call with its parameters, limits, answers and a line for curl. It needs no script.',
  tags,
  answers: cacheable,
} as const satisfies RouteDescription

export const describeCspReport = {
  operationId: 'cspReport',
  summary: 'Report what a page was kept from',
  description:
    'Where browsers send what the content security policy of a page of this server made them refuse. Each violation becomes a line of the log: the path of the page, the directive, and the origin of what was refused. Reports of other pages are ignored.',
  tags,
  answers: { 204: { description: 'Received.' } },
} as const satisfies RouteDescription

export const describeProblemPage = {
  operationId: 'problemPage',
  summary: 'What a problem means',
  description: 'A page for people: where the type of a problem leads. It says what the code means and what to do.',
  tags,
  answers: cacheable,
  problems: ['not_found'],
} as const satisfies RouteDescription

export const describeSecurityTxt = {
  operationId: 'securityTxt',
  summary: 'Whom to tell of a weakness',
  description: 'The security.txt of the operator (RFC 9116), where there is one that has not expired.',
  tags,
  answers: cacheable,
  problems: ['not_found'],
} as const satisfies RouteDescription

export const describePage = {
  operationId: 'page',
  summary: 'The page',
  description: 'See films and vote on them in a browser, and send any call by hand. It is there when it was built and is not switched off.',
  tags: ['Page'],
  answers: cacheable,
} as const satisfies RouteDescription
