import type { Rule } from '../rule.ts'

/** Every rule that Filmgate comes with. */
export const builtInRules: readonly Rule[] = []
