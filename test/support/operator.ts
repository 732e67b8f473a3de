import { openMasterKey } from '../../src/credentials/master-key.ts'
import { operatorKey } from '../../src/serve/operator.ts'

/** The key of the operator of a server that keeps its master key in this data folder. */
export const operatorKeyOf = ({ dataDir }: { readonly dataDir: string }): string => operatorKey(openMasterKey(dataDir, ''), Date.now())

/** As an Authorization field. */
export const asOperator = (server: { readonly dataDir: string }): Readonly<Record<string, string>> => ({
  Authorization: `Bearer ${operatorKeyOf(server)}`,
})
