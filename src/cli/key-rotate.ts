import { openSigningKeys } from '../api/accounts/signing/signing-keys.ts'
import { formatTimestamp } from '../api/timestamp.ts'
import { type Config, durationOf } from '../config.ts'
import { systemClock as clock } from '../core/clock.ts'
import type { Command } from './command.ts'
import { openInstallation } from './open-installation.ts'
import { print, printJson } from './output.ts'

export const keyRotate: Command = {
  name: 'key rotate',
  summary: 'Makes a new key for signing access tokens; the server may be running',
  details: `The server does so by itself every 30 days. The new key is published at once and signs in an hour, so that
whoever verifies tokens by /.well-known/jwks.json knows it by then; tokens of the old key stay good until
they expire. Running servers hear of it within a second.
--now is for those who cannot wait. --withdraw is for a key that may have leaked: the new one signs at once
and tokens of all others are refused; nobody has to log in again, for apps get new ones by their refresh
token.`,
  options: {
    now: { text: 'the new key signs at once' },
    withdraw: { text: 'besides, the old keys are taken back' },
  },
  example: 'filmgate key rotate',
  run: async ({ json, options, loadConfig }) => {
    const withdrawOld = options['withdraw'] === true
    const { kid, activeAt } = await rotate(loadConfig(), { now: options['now'] === true, withdrawOld })
    const signsFrom = formatTimestamp(activeAt)
    await (json
      ? printJson({ kid, signs_from: signsFrom, withdrawn: withdrawOld })
      : print(`The key ${kid} signs from ${signsFrom} on.${withdrawOld ? ' All others were taken back.' : ''}\n`))
    return 0
  },
}

const rotate = async (config: Config, { now, withdrawOld }: { now: boolean; withdrawOld: boolean }) => {
  await using installation = await openInstallation(config)
  const { database, masterKey, trail } = installation
  const keys = await openSigningKeys({
    database,
    clock,
    trail,
    sealingKey: masterKey.derive('sealing'),
    // Nothing is signed here.
    issuer: '',
    audience: '',
    ttlMs: durationOf(config.auth.accessTokenTtl),
  })
  try {
    return await keys.rotate({ actor: 'cli', now, withdrawOld })
  } finally {
    keys.close()
  }
}
