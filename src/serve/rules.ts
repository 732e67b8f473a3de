import { filmgateRules } from '../api/security/rules.ts'
import { builtInRules, type Rule } from '../layers/index.ts'

/** Every rule that a server runs with. */
export const allRules: readonly Rule[] = [...builtInRules, ...filmgateRules]
