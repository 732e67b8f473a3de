/** What Node keeps of a header field. */
type Kept = string | number | readonly string[] | undefined

/**
 * One Vary field (RFC 9110 section 12.5.5) of what is needed and what stands there already: a cache that lacks one of the names would hand
 * the answer for one page to another.
 */
export const joinVary = (needed: string, present: Kept): string => {
  const found = [present ?? []].flat().join(',')
  if (found === '') return needed
  const names = namesOf(needed)
  const known = new Set(names.map((name) => name.toLowerCase()))
  for (const name of namesOf(found)) {
    if (name === '*') return '*'
    if (!known.has(name.toLowerCase())) names.push(name)
    known.add(name.toLowerCase())
  }
  return names.join(', ')
}

const namesOf = (list: string): string[] => list.split(',').flatMap((name) => (name.trim() === '' ? [] : [name.trim()]))
