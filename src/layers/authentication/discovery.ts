import { type Egress, type FetchOptions, urlMistake } from '../../core/egress.ts'
import { parseKeySet, type VerificationKeys } from './verification-keys.ts'

/** OpenID Connect Discovery 1.0 section 4: the path of an issuer comes before the well-known one. */
const discoveryUrl = (issuer: string): string => `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`

/** Asks an issuer where its keys are, then for its keys. Rejects with an Error that says what was wrong. */
export const fetchIssuerKeys = async (egress: Egress, issuer: string, options: FetchOptions): Promise<VerificationKeys> => {
  const { issuer: named, jwks_uri: keysUrl } = await egress.getJson(discoveryUrl(issuer), options)
  // Section 4.3: else whoever may place a document on that host would speak for another issuer.
  if (named !== issuer) throw new Error('the discovery document is of another issuer')
  // The keys may be on another host (Google's are), under the same rules.
  if (typeof keysUrl !== 'string' || keysUrl.length > 2048 || !URL.canParse(keysUrl))
    throw new Error('the discovery document has no jwks_uri')
  const mistake = urlMistake(new URL(keysUrl), options.allowPrivate)
  if (mistake !== undefined) throw new Error(`jwks_uri: ${mistake}`)
  return parseKeySet(await egress.getJson(keysUrl, options))
}
