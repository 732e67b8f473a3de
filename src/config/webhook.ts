import { isLoopback } from './networks.ts'
import type { Config } from './keys.ts'
import type { CrossCheck } from './tls-checks.ts'

/** What is wrong with `monitor.webhook_url` by itself. Never shows the value: some receivers have a secret in theirs. */
export const webhookUrlMistake = (text: string): string | undefined => {
  if (text === '') return undefined
  if (!/^https?:\/\/[^\s/\\]/.test(text) || !URL.canParse(text)) return 'must be a URL such as https://hooks.example.com/filmgate'
  const { username, password, hash } = new URL(text)
  if (username !== '' || password !== '') return 'must not hold a user or a password: what it sends is signed with monitor.webhook_secret'
  return hash === '' ? undefined : 'must not hold a #: nothing behind it would be sent'
}

/** Standard Webhooks 1.0 asks for 24 to 64 bytes. */
export const webhookSecretMistake = (text: string): string | undefined => {
  if (text === '') return undefined
  const advice = 'try echo "whsec_$(openssl rand -base64 32)"'
  if (text.startsWith('whsec_')) {
    const encoded = text.slice('whsec_'.length)
    const bytes = Buffer.from(encoded, 'base64')
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded) || bytes.toString('base64').replace(/=+$/, '') !== encoded.replace(/=+$/, ''))
      return `begins with whsec_, but what follows is not base64: ${advice}`
    return bytes.length >= 24 && bytes.length <= 64 ? undefined : `must be 24 to 64 bytes in base64 behind whsec_: ${advice}`
  }
  if (/^\s|\s$|\p{Cc}/u.test(text)) return 'must not begin or end with a space, nor hold control characters'
  if (text.length < 24) return `must be at least 24 characters, or whsec_ and base64: ${advice}`
  return new Set(text).size < 8 ? `must be random: it has fewer than 8 different characters. ${advice}` : undefined
}

const bare = (hostname: string): string =>
  hostname
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')

const portOf = ({ port, protocol }: URL): number => Number(port || (protocol === 'https:' ? 443 : 80))

/** Whether a message would come back to where it was made. A name that only DNS knows to be this machine is answered with 421. */
const isOwn = (url: URL, { server, ops, tls }: Config): boolean => {
  const [host, port] = [bare(url.hostname), portOf(url)]
  if (URL.canParse(server.publicUrl)) {
    const known = new URL(server.publicUrl)
    if (bare(known.hostname) === host && portOf(known) === port) return true
  }
  const named = server.hosts.some((entry) => URL.canParse(`http://${entry}`) && bare(new URL(`http://${entry}`).hostname) === host)
  const bound = isLoopback(host) || [server.host, ops.host].some((one) => bare(one) === host)
  const ports = new Set([server.port, ops.port, tls.redirectPort, ...(named ? [80, 443] : [])])
  return port !== 0 && (named || bound) && ports.has(port)
}

export const webhookChecks: readonly CrossCheck[] = [
  {
    keys: ['monitor.webhook_url', 'monitor.webhook_secret'],
    check: ({ monitor: { webhookUrl, webhookSecret } }) =>
      webhookUrl !== '' && webhookSecret === ''
        ? 'needs monitor.webhook_secret: what is not signed anybody could have sent. Try echo "whsec_$(openssl rand -base64 32)"'
        : undefined,
  },
  {
    keys: ['monitor.webhook_url', 'monitor.webhook_allow_private'],
    check: ({ monitor: { webhookUrl, webhookAllowPrivate } }) => {
      if (webhookUrlMistake(webhookUrl) !== undefined || !webhookUrl.startsWith('http:')) return undefined
      if (webhookAllowPrivate && isLoopback(bare(new URL(webhookUrl).hostname))) return undefined
      return 'is not https: that is only for this machine itself, with monitor.webhook_allow_private = true'
    },
  },
  {
    keys: ['monitor.webhook_url', 'server.public_url', 'server.hosts', 'server.port', 'ops.port'],
    check: (config) => {
      const { webhookUrl } = config.monitor
      if (webhookUrl === '' || webhookUrlMistake(webhookUrl) !== undefined) return undefined
      return isOwn(new URL(webhookUrl), config) ? 'is this server itself: name the one that tells you' : undefined
    },
  },
]
