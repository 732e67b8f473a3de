import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { Agent } from 'node:https'
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { TLSSocket } from 'node:tls'

import { assertQuietLog } from '../support/attack.ts'
import { temporaryFolder } from '../support/command.ts'
import { eventually, within } from '../support/deadline.ts'
import { askHttp1, openHttp2, type SecureAnswer, shakeHands } from '../support/secure-client.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { createTestAuthority, type Issued, tlsFiles } from '../support/tls-material.ts'

/** Looks are a second apart, and a busy machine is late. */
const patienceMs = 30_000

const authority = await createTestAuthority()

/** As certbot keeps them: `live/*.pem` are links to numbered files in `archive/`, and renewal points them to new ones, one after the other. */
const createCertbot = (folder: string, first: Issued) => {
  let number = 0
  mkdirSync(join(folder, 'archive'))
  mkdirSync(join(folder, 'live'))
  const link = (name: string): void => {
    symlinkSync(`../archive/${name}${number}.pem`, join(folder, 'live', `.${name}`))
    renameSync(join(folder, 'live', `.${name}`), join(folder, 'live', `${name}.pem`))
  }
  const write = ({ cert, key }: Issued): void => {
    number++
    writeFileSync(join(folder, 'archive', `fullchain${number}.pem`), cert, { mode: 0o644 })
    writeFileSync(join(folder, 'archive', `privkey${number}.pem`), key, { mode: 0o600 })
  }
  const renew = (issued: Issued): void => {
    write(issued)
    link('privkey')
    link('fullchain')
  }
  renew(first)
  return {
    renew,
    /** Only the certificate, as if the machine had stopped half way. */
    half: (issued: Issued): void => {
      write(issued)
      link('fullchain')
    },
    cert: join(folder, 'live', 'fullchain.pem'),
    key: join(folder, 'live', 'privkey.pem'),
  }
}

const servedBy = async (server: TestServer): Promise<string> => {
  const socket = await shakeHands({ port: server.port, ca: authority.ca, servername: 'localhost' })
  const { serialNumber } = socket.getPeerCertificate()
  socket.destroy()
  return serialNumber
}

const serialOf = ({ cert }: Issued): string => new X509Certificate(cert).serialNumber

const reloads = (server: TestServer, ok: boolean): number =>
  server.log().filter((record) => record['event'] === 'sys_config_reload' && record['ok'] === ok).length

describe('another certificate', () => {
  const folder = temporaryFolder()
  let server: TestServer
  let certbot: ReturnType<typeof createCertbot>
  const path = folder.path

  before(async () => {
    certbot = createCertbot(path, await authority.issue())
    server = await startServer({ env: tlsFiles(certbot) })
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })

  const target = () => ({ port: server.port, ca: authority.ca })

  test('is taken when its links change, and open connections of both protocols go on', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    await using session = await openHttp2(target())
    assert.equal((await askHttp1(target(), {}, agent)).status, 200)
    assert.equal((await session.ask()).status, 200)
    const [socket] = Object.values(agent.freeSockets).flat()

    const next = await authority.issue()
    const known = reloads(server, true)
    certbot.renew(next)
    await eventually(patienceMs, 'the new certificate', async () => (await servedBy(server)) === serialOf(next))
    // The log is written in blocks.
    await eventually(patienceMs, 'one event', () => reloads(server, true) === known + 1)

    assert.equal((await askHttp1(target(), {}, agent)).status, 200)
    assert.equal((await session.ask()).status, 200)
    assert.equal(Object.values(agent.freeSockets).flat()[0], socket, 'on the connection from before')
    agent.destroy()
  })

  test('a chain comes with it', async () => {
    const next = await (await authority.intermediate()).issue()
    certbot.renew(next)
    await eventually(patienceMs, 'the new certificate', async () => (await servedBy(server)) === serialOf(next))
    const socket = await shakeHands({ port: server.port, ca: authority.ca, servername: 'localhost' })
    assert.ok(socket.authorized, 'by a client that knows the root alone')
    socket.destroy()
  })

  test('half a pair, told of; the old one stays and /readyz says so, until the other half comes', async () => {
    const inForce = await servedBy(server)
    const next = await authority.issue()
    const known = reloads(server, false)
    certbot.half(next)
    await eventually(patienceMs, 'the mistake is told', () => reloads(server, false) === known + 1)
    const told = server.log().findLast((record) => record['event'] === 'sys_config_reload')
    assert.deepEqual([told?.['level'], told?.['error']], ['warn', 'tls.key is not the key of the certificate in tls.cert'])
    assert.equal(await servedBy(server), inForce)
    const { status, warnings } = (await (await fetch(`${server.opsUrl}/readyz`)).json()) as { status: string; warnings: string[] }
    assert.equal(status, 'ok')
    assert.match(warnings.join(), /tls\.key is not the key of the certificate.*the certificate from before is in use/)

    certbot.renew(next)
    await eventually(patienceMs, 'the new certificate', async () => (await servedBy(server)) === serialOf(next))
    const readyz = (await (await fetch(`${server.opsUrl}/readyz`)).json()) as { warnings: string[] }
    assert.deepEqual(readyz.warnings, [])
  })

  test('SIGHUP takes it at once, and tells of a bad one', async () => {
    const next = await authority.issue()
    certbot.renew(next)
    server.process.kill('SIGHUP')
    await eventually(patienceMs, 'the new certificate', async () => (await servedBy(server)) === serialOf(next))
    const known = reloads(server, false)
    certbot.renew(await authority.issue({ from: -9, to: -1 }))
    server.process.kill('SIGHUP')
    await eventually(patienceMs, 'the mistake is told', () => reloads(server, false) > known)
    const told = server.log().findLast((record) => record['event'] === 'sys_config_reload' && record['ok'] === false)
    assert.match(String(told?.['error']), /^tls\.cert expired on /)
    assert.equal(await servedBy(server), serialOf(next))
    certbot.renew(next)
  })

  test('a TLS 1.2 session is taken up again, but not with a ticket from before: its key went with the certificate', async () => {
    const options = { port: server.port, ca: authority.ca, servername: 'localhost', maxVersion: 'TLSv1.2' } as const
    const withSession = async (session?: Buffer): Promise<TLSSocket> => shakeHands({ ...options, ...(session && { session }) })
    const first = await withSession()
    const session = first.getSession()
    first.destroy()
    const again = await withSession(session)
    assert.equal(again.isSessionReused(), true)
    again.destroy()
    const next = await authority.issue()
    certbot.renew(next)
    await eventually(patienceMs, 'the new certificate', async () => (await servedBy(server)) === serialOf(next))
    const anew = await withSession(session)
    assert.equal(anew.isSessionReused(), false)
    anew.destroy()
  })

  test('10,000 requests over both protocols, on kept and on fresh connections, while it changes again and again: every one is answered', async () => {
    const total = 10_000
    const issued = await Promise.all(Array.from({ length: 4 }, () => authority.issue()))
    const agent = new Agent({ keepAlive: true, maxSockets: 4 })
    const { port } = server
    await using session = await openHttp2({ port, ca: authority.ca })
    // One in ten brings a handshake, one of twenty of those over HTTP/2.
    const kept = (i: number): Promise<SecureAnswer> => (i % 3 === 0 ? askHttp1({ port, ca: authority.ca }, {}, agent) : session.ask())
    const fresh = async (i: number): Promise<SecureAnswer> => {
      if (i % 200 !== 0) return askHttp1({ port, ca: authority.ca })
      await using own = await openHttp2({ port, ca: authority.ca })
      return await own.ask()
    }
    let next = 0
    let answered = 0
    const statuses = new Map<number, number>()
    const known = reloads(server, true)
    const call = async (): Promise<void> => {
      for (let i = next++; i < total; i = next++) {
        const { status } = i % 10 === 0 ? await fresh(i) : await kept(i)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
        answered++
      }
    }
    const areLeft = (): boolean => answered < total
    const swapping = (async () => {
      let swaps = 0
      while (areLeft()) {
        certbot.renew(issued[swaps++ % issued.length] ?? assert.fail())
        server.process.kill('SIGHUP')
        const from = answered
        // The next one when a hundred more were answered: no clock decides how many there are.
        await eventually(patienceMs, 'requests go on', () => answered >= Math.min(total, from + 100))
      }
      return swaps
    })()
    await within(300_000, 'all answers', Promise.all(Array.from({ length: 16 }, call)))
    const swaps = await swapping
    agent.destroy()
    assert.deepEqual([...statuses], [[200, total]])
    await eventually(patienceMs, `20 events of ${swaps} renewals`, () => reloads(server, true) >= known + 20)
  })

  test('nothing of all this made the server stumble', () => assertQuietLog(server))
})
