import type { Rule } from '../rule.ts'
import { abuseRules } from './abuse.ts'
import { credentialRules } from './credentials.ts'
import { probingRules } from './probing.ts'
import { serviceRules } from './service.ts'

/** Every rule that holds in any API. */
export const builtInRules: readonly Rule[] = [...credentialRules, ...probingRules, ...abuseRules, ...serviceRules]
