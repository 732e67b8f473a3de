import type { ApiDescription } from '../../src/api/site/document.ts'
import { deterministicId, fixedDate } from './identity.ts'
import { defaultHost } from './postman.ts'
import type { Sample } from './samples.ts'

/** What the free edition takes in one collection. */
const maxRequests = 15

/** To be replaced by hand: the free edition has no environments, so there is no variable that a key could stand in. */
export const keyPlaceholder = 'PASTE-THE-CONTENT-OF-STARTER.KEY'

/** A Thunder Client collection in its own format, version 1.2, with whole addresses. */
export const thunderCollection = ({ info }: ApiDescription, samples: readonly Sample[]): object => {
  const chosen = samples.filter(({ essential }) => essential)
  if (chosen.length > maxRequests) throw new Error(`Thunder Client takes ${maxRequests} requests, and there are ${chosen.length}`)
  const collectionId = deterministicId('thunder')
  return {
    clientName: 'Thunder Client',
    collectionName: info['title'],
    collectionId,
    dateExported: fixedDate,
    version: '1.2',
    folders: [],
    requests: chosen.map((sample, i) => requestOf(sample, collectionId, i)),
  }
}

const requestOf = ({ name, method, target, key, body, expected }: Sample, colId: string, i: number): object => {
  const url = new URL(target, defaultHost)
  return {
    _id: deterministicId(`thunder ${name}`),
    colId,
    containerId: '',
    name,
    url: url.href,
    method,
    sortNum: (i + 1) * 10_000,
    created: fixedDate,
    modified: fixedDate,
    headers: [],
    params: [...url.searchParams].map(([parameter, value]) => ({ name: parameter, value, isPath: false })),
    ...(body === undefined ? {} : { body: { type: 'json', raw: JSON.stringify(body, null, 2), form: [] } }),
    ...(key !== undefined ? { auth: { type: 'bearer', bearer: keyPlaceholder } } : {}),
    tests: expected.statuses.length > 1 ? [] : [{ type: 'res-code', custom: '', action: 'equal', value: String(expected.statuses[0]) }],
  }
}
