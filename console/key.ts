import { signal } from '@preact/signals'

/** The API key as it was typed. It lives here and nowhere else: no storage, no address, gone with the page. */
export const apiKey = signal('')

/** What a header field can carry; anything else would make `fetch` throw. */
export const isSendable = (key: string): boolean => /^[!-~]+$/.test(key)

export const bearer = (key: string): Readonly<Record<string, string>> => ({ Authorization: `Bearer ${key}` })
