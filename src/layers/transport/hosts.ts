/**
 * Which Host fields are ours. A page of a stranger whose name resolves to 127.0.0.1 (DNS rebinding) still sends its own name in Host, so a
 * server that answers to any name hands its data to that page.
 */
export interface AllowedHosts {
  /** `name` or `name:port`; a name without a port is allowed on any port. */
  readonly hosts: readonly string[]
}

const loopbackNames = ['localhost', '127.0.0.1', '[::1]']

export const createHostCheck = ({ hosts }: AllowedHosts): ((host: string) => boolean) => {
  const allowed = new Set([...loopbackNames, ...hosts].map((host) => bracketed(host.toLowerCase())))
  let lastAllowed: string | undefined
  return (host) => {
    if (host === lastAllowed) return true
    const text = host.toLowerCase()
    const name = /^(\[[0-9a-f:.]+\]|[^:]*)(?::[0-9]{1,5})?$/.exec(text)?.[1]
    if (name === undefined || !(allowed.has(name) || allowed.has(text))) return false
    lastAllowed = host
    return true
  }
}

/** An IPv6 address as a Host field writes it. */
const bracketed = (host: string): string => (host.split(':').length > 2 && !host.startsWith('[') ? `[${host}]` : host)
