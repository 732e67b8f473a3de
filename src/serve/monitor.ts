import type { FastifyRequest } from 'fastify'

import type { Config } from '../config.ts'
import { parseCidr } from '../core/address.ts'
import type { Clock } from '../core/clock.ts'
import type { Observe } from '../core/events.ts'
import { createAddressSet, createMonitor, type DecisionStore, isAccountShut, type Monitor, type MonitorPolicy } from '../layers/index.ts'
import { allRules } from './rules.ts'

export interface OpenMonitorOptions {
  readonly config: Config
  readonly clock: Clock
  readonly observe: Observe
  readonly store: DecisionStore
}

export interface OpenMonitor {
  readonly monitor: Monitor
  /** Takes over `[monitor]` of a configuration that was read again. */
  readonly replace: (config: Config) => void
  /** Whether a decision keeps everybody from an account who was never there. */
  readonly isShut: (accountId: string, request: FastifyRequest) => boolean
}

/** The monitor with the rules that Filmgate comes with, under the policy of the configuration in force. */
export const openMonitor = async ({ config, store, ...options }: OpenMonitorOptions): Promise<OpenMonitor> => {
  let policy = policyOf(config)
  const monitor = await createMonitor({ ...options, rules: allRules, policy: () => policy, store })
  const { clock, observe } = options
  const enforced = { decisions: monitor.decisions, isExempt: (text: string) => policy.isExempt(text), epochMs: clock.epochMs, observe }
  return {
    monitor,
    replace: (next) => void (policy = policyOf(next)),
    isShut: (accountId, request) => isAccountShut(accountId, request, enforced),
  }
}

/** Nothing is ever decided about this machine, about proxies that all others come through, or about whom the operator trusts. */
const policyOf = ({ monitor, server }: Config): MonitorPolicy => {
  const cidrs = ['127.0.0.0/8', '::1/128', ...server.trustedProxies, ...monitor.allow].map(parseCidr)
  const exempt = cidrs.filter((cidr) => cidr !== undefined)
  return { mode: monitor.mode, rules: monitor.rules, isExempt: createAddressSet(exempt), exempt }
}
