import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Certificate {
  /** PEM. */
  readonly certificate: string
  readonly key: string
}

export interface Authority extends Disposable {
  /** The PEM file that a client is given to trust it. */
  readonly file: string
  /** For a host name; `days` from now, and a negative number is one that has expired. */
  issue(host: string, days?: number): Certificate
}

/** Made for one test, with the openssl of the machine: Node can make keys, but no certificates. */
export const createAuthority = (name: string): Authority => {
  const folder = mkdtempSync(join(tmpdir(), 'filmgate-ca-'))
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout']
  openssl('req', '-x509', ...newKey, 'ca.key', '-out', 'ca.crt', '-subj', `/CN=${name}`, '-days', '2')
  return {
    file: join(folder, 'ca.crt'),
    issue: (host, days = 2) => {
      openssl('req', '-new', ...newKey, 'host.key', '-out', 'host.csr', '-subj', `/CN=${host}`)
      writeFileSync(join(folder, 'extensions'), `subjectAltName=DNS:${host}`)
      const signer = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial']
      openssl('x509', '-req', '-in', 'host.csr', ...signer, '-days', String(days), '-extfile', 'extensions', '-out', 'host.crt')
      return { certificate: readFileSync(join(folder, 'host.crt'), 'utf8'), key: readFileSync(join(folder, 'host.key'), 'utf8') }
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}
