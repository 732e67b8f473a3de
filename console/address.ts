/**
 * The address of a path on this server; a sentence where it is none. `//host`, `/\host` and the like name other servers. `root` is where the
 * server's own paths begin, with a slash at its end: behind a proxy that may be below a path.
 */
export const addressOf = (path: string, root: string): { readonly url: string } | { readonly mistake: string } => {
  const { origin, pathname } = new URL(root)
  if (!path.startsWith('/')) return { mistake: 'A path begins with a slash, such as /v1/films/1.' }
  if (!URL.canParse(path, origin)) return { mistake: 'This is not a path.' }
  const url = new URL(path, origin)
  if (url.origin !== origin) return { mistake: 'Calls go to this server alone.' }
  url.pathname = pathname.slice(0, -1) + url.pathname
  // A fragment is never sent.
  url.hash = ''
  return { url: url.href }
}
