import type { Quota, Window } from './store.ts'

/** Throws a RangeError for windows that mean nothing and for two quotas of one scope, which no store can decide together. */
export const checkQuotas = (quotas: readonly Quota[]): void => {
  const twin = quotas.find(({ scope }, i) => quotas.findIndex((other) => other.scope === scope) !== i)
  if (twin !== undefined) throw new RangeError(`two quotas of one decision share the scope "${twin.scope}"`)
  for (const { scope, windows } of quotas) for (const window of windows) checkWindow(scope, window)
}

const checkWindow = (scope: string, { name, limit, windowMs, burst = 1, maxDelayMs = 0 }: Window): void => {
  if (!Number.isSafeInteger(limit) || limit < 1 || !Number.isFinite(windowMs) || windowMs <= 0)
    throw new RangeError(`window "${name}" of "${scope}" needs a whole limit and a length above 0, not ${limit} in ${windowMs} ms`)
  if (!Number.isSafeInteger(burst) || burst < 1 || !Number.isFinite(maxDelayMs) || maxDelayMs < 0)
    throw new RangeError(
      `rate "${name}" of "${scope}" needs a whole burst above 0 and a delay of 0 ms or more, not ${burst} and ${maxDelayMs}`,
    )
}
