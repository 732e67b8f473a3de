import { type Config, describeConfig } from '../config.ts'

/** `filmgate config`: the effective configuration and where each value came from, secrets redacted. */
export const runConfig = (config: Config, json: boolean): void => {
  const values = describeConfig(config)
  if (json) {
    process.stdout.write(`${JSON.stringify(values, null, 2)}\n`)
    return
  }
  const width = Math.max(...values.map(({ key }) => key.length))
  for (const { key, value, origin } of values) process.stdout.write(`${key.padEnd(width)}  ${value}  (${origin})\n`)
}
