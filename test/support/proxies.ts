import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Certificate } from './certificates.ts'
import { eventually } from './deadline.ts'
import { freePort } from './free-port.ts'
import { proxyProgram } from './services.ts'

/** A piece of a shipped file and what stands there in a test. The piece must be in the file. */
export type Edit = readonly [shipped: string, inTest: string]

export const proxyNames = ['caddy', 'nginx', 'haproxy'] as const
export type ProxyName = (typeof proxyNames)[number]

/** The host name in the files. */
export const publicHost = 'films.example.com'

export interface ProxyOptions {
  /** For `publicHost`. */
  readonly certificate: Certificate
  /** The port of 127.0.0.1 where Filmgate listens, or will. */
  readonly upstream: number
  /** Further changes of the shipped file. */
  readonly edits?: readonly Edit[]
}

export interface Proxy extends AsyncDisposable {
  readonly name: ProxyName
  /** Of 127.0.0.1 and ::1. */
  readonly httpsPort: number
  readonly httpPort: number
  /** What it wrote: its own errors. */
  said(): string
}

interface Place {
  readonly folder: string
  readonly httpsPort: number
  readonly httpPort: number
}

interface Recipe {
  readonly file: string
  readonly edits: (place: Place, options: ProxyOptions) => readonly Edit[]
  /** Writes what else it needs, and returns its arguments. */
  readonly prepare: (place: Place, config: string) => readonly string[]
}

const certificatePath = ({ folder }: Place): string => join(folder, 'films.pem')
const upstreamShipped = '127.0.0.1:3000'

const recipes: Readonly<Record<ProxyName, Recipe>> = {
  caddy: {
    file: 'caddy/Caddyfile',
    edits: (place, { upstream }) => [
      [
        'admin localhost:2019',
        `admin unix/${join(place.folder, 'admin.sock')}\n\tdefault_bind 127.0.0.1 ::1\n\thttp_port ${place.httpPort}\n\thttps_port ${place.httpsPort}`,
      ],
      ['\n:443 {', `\n:${place.httpsPort} {`],
      ['tls {', `tls ${certificatePath(place)} ${certificatePath(place)} {`],
      [upstreamShipped, `127.0.0.1:${upstream}`],
    ],
    prepare: (_place, config) => ['run', '--adapter', 'caddyfile', '--config', config],
  },
  nginx: {
    file: 'nginx/filmgate.conf',
    edits: (place, { upstream }) => [
      ['listen 80;', `listen 127.0.0.1:${place.httpPort};`],
      ['listen [::]:80;', `listen [::1]:${place.httpPort};`],
      ['listen 443 ', `listen 127.0.0.1:${place.httpsPort} `],
      ['listen [::]:443 ', `listen [::1]:${place.httpsPort} `],
      ['/etc/letsencrypt/live/films.example.com/fullchain.pem', certificatePath(place)],
      ['/etc/letsencrypt/live/films.example.com/privkey.pem', certificatePath(place)],
      ['/var/www/letsencrypt', join(place.folder, 'letsencrypt')],
      [upstreamShipped, `127.0.0.1:${upstream}`],
    ],
    prepare: ({ folder }, config) => {
      const main = join(folder, 'nginx.conf')
      writeFileSync(main, nginxMain(folder, config))
      return ['-p', folder, '-c', main, '-e', 'stderr']
    },
  },
  haproxy: {
    file: 'haproxy/haproxy.cfg',
    edits: (place, { upstream }) => [
      ['    log /dev/log local0\n    chroot /var/lib/haproxy\n    user haproxy\n    group haproxy\n', '    log stdout format raw local0\n'],
      ['maxconn 10000', 'maxconn 500'],
      ['bind :80', `bind 127.0.0.1:${place.httpPort}`],
      ['bind :::80', `bind ::1:${place.httpPort}`],
      ['bind :443', `bind 127.0.0.1:${place.httpsPort}`],
      ['bind :::443', `bind ::1:${place.httpsPort}`],
      ['/etc/haproxy/films.pem', certificatePath(place)],
      [upstreamShipped, `127.0.0.1:${upstream}`],
    ],
    prepare: (_place, config) => ['-db', '-f', config],
  },
}

/** What Debian's nginx.conf is to a file in conf.d, without a trace outside the folder. */
const nginxMain = (folder: string, site: string): string => {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`)
  return `${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr notice;
events { worker_connections 512; }
http {
  access_log off;
  gzip on;
  default_type application/octet-stream;
  ${paths.join(' ')}
  include ${site};
}
`
}

/** The shipped file as it runs here: other ports, a certificate of the test's own, no rights of root. */
const adapt = (text: string, edits: readonly Edit[]): string =>
  edits.reduce((adapted, [shipped, inTest]) => {
    // A port that another edit wrote may begin like one that is looked for.
    const piece = new RegExp(shipped.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`) + (/\d$/.test(shipped) ? '(?!\\d)' : ''), 'g')
    if (!piece.test(adapted)) throw new Error(`${JSON.stringify(shipped)} is not in the shipped file`)
    return adapted.replace(piece, () => inTest)
  }, text)

/** The file of a proxy in deploy/, in a process of its own on free ports. Resolves when it accepts connections. */
export const startProxy = async (name: ProxyName, options: ProxyOptions): Promise<Proxy> => {
  const program = proxyProgram(name)
  if (program === undefined) throw new Error(`${name} is not installed (scripts/services installs it)`)
  const recipe = recipes[name]
  const folder = mkdtempSync(join(tmpdir(), `filmgate-${name}-`))
  const place = { folder, httpsPort: await freePort(), httpPort: await freePort() }
  mkdirSync(join(folder, 'letsencrypt'))
  writeFileSync(certificatePath(place), options.certificate.certificate + options.certificate.key, { mode: 0o600 })
  const shipped = readFileSync(join(import.meta.dirname, '../../deploy', recipe.file), 'utf8')
  const config = join(folder, 'site')
  // First the further ones, which speak of the file as it is shipped.
  writeFileSync(config, adapt(adapt(shipped, options.edits ?? []), recipe.edits(place, options)))
  const child = spawn(program, recipe.prepare(place, config), {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = listen(child)
  const end = (): void => void child.kill('SIGTERM')
  process.once('exit', end)
  const dispose = async (): Promise<void> => {
    process.off('exit', end)
    // SIGTERM, because nginx' workers outlive a master that is killed.
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit')
      const killed = setTimeout(() => child.kill('SIGKILL'), 10_000)
      child.kill('SIGTERM')
      await exited
      clearTimeout(killed)
    }
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await eventually(20_000, `${name} listens`, async () => {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${name} ended before it listened:\n${said()}`)
      return (await accepts(place.httpsPort)) && (await accepts(place.httpPort))
    })
  } catch (error) {
    await dispose()
    throw error
  }
  return { name, httpsPort: place.httpsPort, httpPort: place.httpPort, said, [Symbol.asyncDispose]: dispose }
}

const listen = (child: ChildProcess): (() => string) => {
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  return () => text
}

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    const answer = (accepted: boolean): void => {
      socket.destroy()
      resolve(accepted)
    }
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
  })
