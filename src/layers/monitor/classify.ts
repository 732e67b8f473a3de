import { agentTags } from './scanner-agents.ts'
import { isPlain, textsOf } from './request-text.ts'
import type { Tag } from './rule.ts'
import type { EndedRequest } from './signal.ts'
import { pathPatterns, textPatterns } from './suspicious.ts'

const none: ReadonlySet<Tag> = new Set()

/**
 * What a request looks like, from its target, its agent and its body, whatever became of it: an attack that meets a limit or a wrong path is
 * one all the same. So each pattern has to be so specific that no title of a film fits it (classify.test.ts holds it against all that there
 * are). Work is bounded: 4 KB of text, patterns that take time in proportion to it, no exceptions.
 */
export const classify = (request: EndedRequest): ReadonlySet<Tag> => {
  const { target, userAgent, route, body } = request
  const agent = userAgent === null ? none : agentTags(userAgent)
  // The usual request: a route that exists, with letters and numbers.
  if (route !== null && body == null && isPlain(target)) return agent
  const { path, text } = textsOf(target, body)
  const found: Tag[] = []
  // What a route serves is no file of somebody else's and no door.
  if (route === null) for (const { tag, pattern } of pathPatterns) if (pattern.test(path)) found.push(tag)
  for (const { tag, pattern } of textPatterns) if (pattern.test(text)) found.push(tag)
  return found.length === 0 ? agent : new Set([...agent, ...found])
}
