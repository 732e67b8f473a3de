import { collectDefaultMetrics, Registry } from 'prom-client'

/**
 * Open handles by their kind, for who debugs the engine: gauges, three of them with names that end like those of counters, which
 * `promtool check metrics` refuses.
 */
const left = ['handles', 'requests', 'resources'].flatMap((what) => [`nodejs_active_${what}`, `nodejs_active_${what}_total`])

/**
 * CPU, memory, descriptors, heap, garbage collection and the lag of the event loop, as prom-client tells them everywhere. It watches the event
 * loop and the collector from then on (their timers keep nothing alive), so it is made where a server runs and nowhere else.
 */
export const createProcessMetrics = (): (() => Promise<string>) => {
  const register = new Registry()
  collectDefaultMetrics({ register })
  for (const name of left) register.removeSingleMetric(name)
  // It writes Nan, such as for the mean of no delays, which the format spells otherwise.
  return async () => (await register.metrics()).replaceAll(/ Nan$/gm, ' NaN')
}
