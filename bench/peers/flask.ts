/** The program of the article, as it is served: gunicorn with one worker of its default kind (sync), the access log in a file. */
import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Machine, onServerCore } from '../machine.ts'
import { firstAnswer } from '../probe.ts'
import { freePort, startProgram, temporaryFolder } from '../processes.ts'
import { film } from './film.ts'
import type { Peer, RunningPeer } from './peer.ts'

const packages = ['python3-flask', 'python3-flask-limiter', 'python3-flask-cors', 'gunicorn'] as const
// Debian's own, whatever stands before them on the PATH.
const [python, gunicorn] = ['/usr/bin/python3', '/usr/bin/gunicorn']

/** Of a Debian package that is installed. */
function versionOf(name: string): string | undefined {
  const { status, stdout } = spawnSync('dpkg-query', ['-W', '-f', '${db:Status-Status} ${Version}', name], { encoding: 'utf8' })
  const [state, version] = status === 0 ? stdout.split(' ') : []
  return state === 'installed' ? version : undefined
}

function missing(): string | undefined {
  const absent = packages.filter((name) => versionOf(name) === undefined)
  if (absent.length > 0) return `not installed: the Debian packages ${absent.join(', ')}`
  return [python, gunicorn].every((file) => existsSync(file)) ? undefined : `there is no ${python} or no ${gunicorn}`
}

async function start(machine: Machine): Promise<RunningPeer> {
  const [folder, port] = [temporaryFolder(), await freePort()]
  const [log, document] = [join(folder, 'access.log'), join(folder, 'film.json')]
  writeFileSync(document, JSON.stringify(film))
  const options = ['--chdir', fileURLToPath(new URL('.', import.meta.url)), '--bind', `127.0.0.1:${port}`, '--workers', '1']
  const command = [python, gunicorn, ...options, '--worker-class', 'sync', '--access-logfile', log, 'flask_article:api']
  const environment = { FILM: document, PYTHONDONTWRITEBYTECODE: '1' }
  const program = await startProgram('Flask under gunicorn', onServerCore(machine, command), folder, { environment, logs: [log] })
  return { program, port, body: await firstAnswer(program, port, 10_000) }
}

export const flask: Peer = {
  file: 'flask',
  title: 'Flask + Flask-Limiter, Flask-CORS; gunicorn, one sync worker',
  versions: () => Object.fromEntries(packages.map((name) => [name, versionOf(name) ?? 'missing'])),
  missing,
  start,
}
