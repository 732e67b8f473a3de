/** The address of a path on this server; a sentence where it is none. `//host`, `/\host` and the like name other servers. */
export const addressOf = (path: string, origin: string): { readonly url: string } | { readonly mistake: string } => {
  if (!path.startsWith('/')) return { mistake: 'A path begins with a slash, such as /v1/films/1.' }
  if (!URL.canParse(path, origin)) return { mistake: 'This is not a path.' }
  const url = new URL(path, origin)
  if (url.origin !== origin) return { mistake: 'Calls go to this server alone.' }
  // A fragment is never sent.
  url.hash = ''
  return { url: url.href }
}
