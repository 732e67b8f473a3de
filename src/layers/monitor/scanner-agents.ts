import { normal } from './request-text.ts'
import type { Tag } from './rule.ts'
import { textPatterns } from './suspicious.ts'

/**
 * How tools that look for weaknesses call themselves when nobody tells them not to. Only what attacks or enumerates: no HTTP library, no
 * crawler, no monitoring, and no program that shares a tool's name (Ory Hydra, python-httpx).
 */
const scanners = new RegExp(
  [
    'sqlmap|nikto|fuzz faster u fool|\\bffuf\\b|gobuster|feroxbuster|dirsearch|dirbuster|\\bdirb\\b|wfuzz|wapiti|\\bnmap\\b|masscan|\\bzgrab\\b|\\bzmap\\b',
    'nuclei|\\(hydra\\)|acunetix|\\bnessus\\b|openvas|greenbone|netsparker|invicti|arachni|\\bw3af\\b|skipfish|zaproxy|owasp[_ ]zap|burpsuite|burpcollaborator',
    'slowhttptest|whatweb|wpscan|joomscan|commix|\\bhavij\\b|jaeles|xsser\\b|\\bzmeu\\b|jorgee|morfeus|webinspect|appscan|sqlninja|\\bfimap\\b|dalfox|\\barjun\\b',
    'httpx - open-source|katana/|\\bxray\\b|\\bvega/|detectify|qualys|\\bl9explore\\b|\\bl9tcpid\\b|crackmapexec|kiterunner|\\bpatator\\b|\\bnoseyparker\\b|thc-|\\bgoldeneye\\b|\\bhulk/|slowloris',
  ].join('|'),
)

/** An agent is the same from request to request: what it is, is found out once. */
const known = new Map<string, ReadonlySet<Tag>>()
const maxKnown = 512
const maxLength = 512

/** What the agent says of itself; attacks on whoever reads it are found there, too. */
export const agentTags = (userAgent: string): ReadonlySet<Tag> => {
  const text = userAgent.length > maxLength ? userAgent.slice(0, maxLength) : userAgent
  const found = known.get(text)
  if (found !== undefined) return found
  // Whoever sends another one each time makes it forget, which costs less than finding out who was the oldest.
  if (known.size >= maxKnown) known.clear()
  const lower = normal(text)
  const tags = new Set<Tag>(textPatterns.filter(({ tag, pattern }) => tag !== 'link' && pattern.test(lower)).map(({ tag }) => tag))
  if (scanners.test(lower)) tags.add('scanner_agent')
  known.set(text, tags)
  return tags
}
