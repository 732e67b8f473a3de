import type { Config } from '../config.ts'
import { serve } from '../serve.ts'
import { welcome } from './welcome.ts'

/** `filmgate serve`: runs until SIGTERM or SIGINT, then drains. */
export const runServe = async (config: Config): Promise<void> => {
  // Before the start, so that a signal during it stops cleanly too.
  const signalled = new Promise<string>((resolve) => {
    process.on('SIGTERM', resolve)
    process.on('SIGINT', resolve)
  })
  const serving = await serve({ config, print })
  print(welcome(config, serving))
  await serving.stop(await signalled)
}

/** Standard output is the log's, one record a line; what is meant for people goes beside it. */
const print = (text: string): void => void process.stderr.write(text)
