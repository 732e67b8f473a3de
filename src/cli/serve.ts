import type { Config } from '../config.ts'
import { serve } from '../serve.ts'

/** `filmgate serve`: runs until SIGTERM or SIGINT, then drains. */
export const runServe = async (config: Config): Promise<void> => {
  // Standard output is the log's, one record a line; what is meant for people goes beside it.
  const serving = await serve({ config, print: (text) => void process.stderr.write(text) })
  const signal = await new Promise<string>((resolve) => {
    process.on('SIGTERM', resolve)
    process.on('SIGINT', resolve)
  })
  await serving.stop(signal)
}
