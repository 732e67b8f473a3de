import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { eventually } from './deadline.ts'
import { freePort } from './free-port.ts'
import { prometheusPrograms } from './services.ts'

/** What is shipped for Prometheus. */
export const prometheusFolder = join(import.meta.dirname, '../../deploy/prometheus')

export interface PrometheusServer extends AsyncDisposable {
  /** Asks its HTTP API (`/api/v1/…`); the `data` of the answer. Rejects with what it says is wrong. */
  api(path: string, parameters?: Readonly<Record<string, string>>): Promise<unknown>
}

/** A private Prometheus with the shipped configuration and rules; only who is asked, and how often, is changed. Resolves when it answers. */
export const startPrometheus = async (target: string): Promise<PrometheusServer> => {
  const programs = prometheusPrograms()
  if (programs === undefined) throw new Error('prometheus is not installed')
  const folder = mkdtempSync(join(tmpdir(), 'filmgate-prometheus-'))
  cpSync(prometheusFolder, folder, { recursive: true })
  const file = join(folder, 'prometheus.yml')
  const shipped = readFileSync(file, 'utf8')
  writeFileSync(file, shipped.replaceAll('127.0.0.1:3001', target).replaceAll('_interval: 15s', '_interval: 1s'))
  const port = await freePort()
  const child = spawn(
    programs.server,
    [`--config.file=${file}`, `--storage.tsdb.path=${join(folder, 'data')}`, `--web.listen-address=127.0.0.1:${port}`],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  const url = `http://127.0.0.1:${port}`
  const dispose = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await eventually(30_000, 'Prometheus answers', async () => {
      if (child.exitCode !== null) throw new Error(`Prometheus ended:\n${said}`)
      return fetch(`${url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      )
    })
  } catch (error) {
    await dispose()
    throw error
  }
  return {
    api: async (path, parameters = {}) => {
      const answer = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`)
      const { status, data, error } = (await answer.json()) as { status: string; data: unknown; error?: string }
      if (status !== 'success') throw new Error(`${path} ${JSON.stringify(parameters)}: ${error}`)
      return data
    },
    [Symbol.asyncDispose]: dispose,
  }
}
