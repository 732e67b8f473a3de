import { type Config, ConfigError } from '../config.ts'
import type { Command } from './command.ts'
import { checkAlerts } from './doctor/alerts.ts'
import { checkDatabase } from './doctor/database.ts'
import { fail, type Finding, ok } from './doctor/finding.ts'
import { checkFolder } from './doctor/folder.ts'
import { checkLimiter } from './doctor/limiter.ts'
import { checkClock, checkFiles, checkNode, checkUser } from './doctor/machine.ts'
import { checkNetwork } from './doctor/network.ts'
import { checkTls } from './doctor/tls.ts'
import { print, printJson } from './output.ts'

export const doctor: Command = {
  name: 'doctor',
  summary: 'Looks at everything that a server needs and names the fix for what is wrong',
  details: `Configuration, data folder, keys, database, limits store, certificate, clock, ports, proxies, alerts.
The server may be running. Each finding is ok, warn or fail; ends with 1 where one is fail.
Nothing it prints is secret.`,
  example: 'filmgate doctor --json',
  run: async ({ json, loadConfig }) => {
    const findings = [checkNode(), checkUser(), ...(await checkConfigured(loadConfig))]
    await (json ? printJson(findings) : print(findings.map(textOf).join('') + verdict(findings)))
    return findings.some(({ status }) => status === 'fail') ? 1 : 0
  },
}

/** Without a configuration there is nothing else to look at. */
const checkConfigured = async (loadConfig: () => Config): Promise<Finding[]> => {
  let config: Config
  try {
    config = loadConfig()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.errors.map(({ key, message, source }) => fail('configuration', `${key} ${message}`.trim(), `change it in ${source}`))
  }
  const set = [...config.origins.values()].filter((origin) => origin !== 'default').length
  const configured = ok('configuration', set === 0 ? 'all defaults' : `${set} set, the rest defaults (filmgate config shows them)`)
  const stores = [...(await checkDatabase(config)), ...(await checkLimiter(config))]
  return [
    configured,
    ...checkFolder(config),
    checkFiles(config),
    checkClock(config),
    ...stores,
    ...(await checkTls(config)),
    ...(await checkNetwork(config)),
    checkAlerts(config),
  ]
}

const textOf = ({ check, status, detail, fix }: Finding): string =>
  `${status.padEnd(4)}  ${check.padEnd(14)}  ${detail}\n${fix === undefined ? '' : `${' '.repeat(22)}fix: ${fix}\n`}`

const verdict = (findings: readonly Finding[]): string => {
  const count = (status: Finding['status']): number => findings.filter((finding) => finding.status === status).length
  return `\n${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} to fix\n`
}
