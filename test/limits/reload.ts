import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { eventually } from '../support/deadline.ts'
import type { LogRecord, TestServer } from '../support/server.ts'

/** Writes filmgate.toml anew and sends SIGHUP. Resolves with the event that says what became of it. For a server whose data folder was made for it. */
export const reloadWith = async (server: TestServer, toml: string): Promise<LogRecord> => {
  const events = (): readonly LogRecord[] => server.log().filter((record) => record['event'] === 'sys_config_reload')
  const before = events().length
  writeFileSync(join(dirname(server.dataDir), 'filmgate.toml'), toml)
  server.process.kill('SIGHUP')
  await eventually(10_000, 'the configuration is read again', () => events().length > before)
  return events()[before]!
}
