import { existsSync } from 'node:fs'
import { join } from 'node:path'

import type { Config } from '../../config.ts'
import { systemClock } from '../../core/clock.ts'
import { inspectCertificate } from '../../serve/certificates.ts'
import { shellQuoted } from '../output.ts'
import { fail, type Finding, ok, warn } from './finding.ts'

/** Whether TLS is spoken, and whether clients will get through with that certificate today and in two weeks. */
export const checkTls = async (config: Config): Promise<Finding[]> => {
  const { mode } = config.tls
  if (mode === 'off') return [ok('TLS', 'off: plain HTTP, for this machine or a proxy in front')]
  return mode === 'dev' ? [development(config)] : checkFiles(config)
}

const development = ({ data }: Config): Finding => {
  const path = join(data.dir, 'dev-ca.pem')
  return ok(
    'TLS',
    existsSync(path)
      ? `a certificate of this machine alone; clients trust it by ${JSON.stringify(path)}`
      : 'a certificate of this machine alone; the first start makes it',
  )
}

const checkFiles = async (config: Config): Promise<Finding[]> => {
  const { mistakes, altNames, endsMs, expiry, isChainWhole, missing } = await inspectCertificate(config, systemClock.epochMs())
  if (mistakes.length > 0) return mistakes.map(({ key, message }) => fail('certificate', `${key} ${message}`, fixOf(key, message, config)))
  const ends = new Date(endsMs).toISOString()
  return [
    ok('certificate', `for ${altNames ?? 'no name'}`),
    expiry === undefined ? ok('expiry', ends) : warn('expiry', expiry, 'certbot renew (docs/https.md); the server takes it by itself'),
    isChainWhole
      ? ok('chain', 'each certificate was issued by the next')
      : warn(
          'chain',
          'tls.cert does not lead to the authority: clients that do not know what is missing refuse it',
          'name the file with the whole chain (certbot: fullchain.pem, not cert.pem), the certificate first',
        ),
    missing.length === 0
      ? ok('certificate names', 'all names of this server are in it')
      : warn(
          'certificate names',
          `it is not for ${missing.join(', ')}: browsers refuse the server under that name`,
          'get a certificate for all names, or take these from server.public_url and server.hosts',
        ),
  ]
}

const fixOf = (key: 'tls.cert' | 'tls.key', message: string, { tls }: Config): string => {
  const path = shellQuoted(key === 'tls.cert' ? tls.cert : tls.key)
  const mode = /chmod (\d+)$/.exec(message)?.[1]
  if (mode !== undefined) return `chmod ${mode} ${path}`
  return message.includes('permission denied')
    ? `give this user its own copy, mode 0600, in certbot's deploy hook (docs/https.md)`
    : `put the right file at ${path} (docs/https.md); the server looks at it every second`
}
