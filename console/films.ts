import { batch, signal } from '@preact/signals'

import { callPatiently, type Trouble } from './answer.ts'
import { learn, longWait, untilFree } from './pace.ts'
import { duration } from './words.ts'

export interface Film {
  readonly id: number
  readonly name: string
  readonly studio: string | null
  readonly year: number | null
  readonly genre: string | null
  readonly director: string | null
  readonly runtime_min: number | null
  readonly rating: number | null
  readonly likes: number
  readonly dislikes: number
}

export type Action = 'like' | 'dislike' | 'next'

interface Receipt {
  readonly value: 'like' | 'dislike'
  readonly name: string
  readonly recorded: boolean
}

export const film = signal<Film | undefined>(undefined)
/** What was pressed and is not done yet, be it waiting or on its way. */
export const pending = signal<Action | undefined>(undefined)
export const trouble = signal<Trouble | undefined>(undefined)
/** What became of the last vote. */
const receipt = signal<Receipt | undefined>(undefined)
/** For screen readers. */
export const announcement = signal('')

/**
 * Votes on the film that is shown, or not, and shows the next one. Pressed too early it waits its turn, which is a second at most by default;
 * pressed while another action is under way, or where the wait is long, it does nothing but say so.
 */
export const act = async (action: Action): Promise<void> => {
  const shown = film.value
  if (pending.value !== undefined || (action !== 'next' && shown === undefined)) return
  if (longWait.value !== undefined) {
    announcement.value = `Not yet: there is a pause of ${duration(longWait.value)}.`
    return
  }
  pending.value = action
  await untilFree()
  await send(action, shown)
  pending.value = undefined
}

const send = async (action: Action, shown: Film | undefined): Promise<void> => {
  const answer = await callPatiently(action === 'next' ? './' : `./?${action}=${shown?.id}`)
  batch(() => {
    learn(answer)
    // The note that counts down says all that this refusal says.
    trouble.value = answer.status === 429 && longWait.value !== undefined ? undefined : answer.trouble
    if (answer.trouble === undefined) show(action, shown, answer.json as Film & { readonly vote?: { readonly recorded: boolean } })
    else if (answer.status === 404) film.value = undefined
  })
}

const show = (action: Action, voted: Film | undefined, next: Film & { readonly vote?: { readonly recorded: boolean } }): void => {
  receipt.value =
    action === 'next' || voted === undefined ? undefined : { value: action, name: voted.name, recorded: next.vote?.recorded === true }
  film.value = next
  announcement.value = [receiptParts()?.join(''), `Now: ${filmWords(next)}`].filter(Boolean).join(' ')
}

/** Shows a film that is already known, such as one that was just added. */
export const showFilm = (known: Film): void => {
  batch(() => {
    film.value = known
    receipt.value = undefined
    trouble.value = undefined
    announcement.value = `Now: ${filmWords(known)}`
  })
}

/** The name apart from what stands around it, because it may run from right to left. */
export const receiptParts = (): readonly [before: string, name: string, after: string] | undefined => {
  if (receipt.value === undefined) return undefined
  const { value, name, recorded } = receipt.value
  return recorded ? [value === 'like' ? 'Liked ' : 'Disliked ', name, '.'] : [`Your ${value} of `, name, ' was not recorded.']
}

const filmWords = ({ name, studio, year }: Film): string => [name, studio, year].filter((part) => part !== null).join(', ')
