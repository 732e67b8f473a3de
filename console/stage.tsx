import type { JSX } from 'preact'

import { FilmCard } from './film-card.tsx'
import { act, type Action, announcement, film, pending, receiptParts, trouble } from './films.ts'
import { Cross, Forward, Heart } from './icons.tsx'
import { keysOn } from './keys.ts'
import { longWait } from './pace.ts'
import { QuotaRing } from './quota-ring.tsx'
import { TroubleNote } from './trouble-note.tsx'
import { duration } from './words.ts'

/** The film, what one can do with it, and how much of it is left. */
export const Stage = (): JSX.Element => (
  <section class="stage" id="film" aria-labelledby="film-heading" tabIndex={-1}>
    <h1 class="unseen" id="film-heading">
      A film at random
    </h1>
    <Receipt />
    {film.value === undefined ? <NoFilm /> : <FilmCard film={film.value} />}
    {longWait.value !== undefined && (film.value ?? trouble.value) !== undefined && <WaitNote seconds={longWait.value} />}
    {trouble.value !== undefined && film.value !== undefined && <TroubleNote trouble={trouble.value} />}
    <div class="below">
      <div class="actions" role="group" aria-label="This film">
        <ActionButton action="dislike" label="Dislike" hint="D" Icon={Cross} />
        <ActionButton action="next" label="Next" hint="N" Icon={Forward} />
        <ActionButton action="like" label="Like" hint="L" Icon={Heart} />
      </div>
      <QuotaRing />
    </div>
    <KeysSwitch />
    <p class="unseen" role="status">
      {announcement}
    </p>
  </section>
)

/** What became of the last vote; its line is there without one, so that nothing jumps. */
const Receipt = (): JSX.Element => {
  const [before, name, after] = receiptParts() ?? ['\u00a0', '', '']
  return (
    <p class="receipt">
      {before}
      <bdi>{name}</bdi>
      {after}
    </p>
  )
}

interface ActionButtonProps {
  readonly action: Action
  readonly label: string
  readonly hint: string
  readonly Icon: () => JSX.Element
}

/** Never `disabled`, which would take the focus away from whoever works with the keyboard. */
const ActionButton = ({ action, label, hint, Icon }: ActionButtonProps): JSX.Element => {
  const off = longWait.value !== undefined || (film.value === undefined && action !== 'next')
  return (
    <button
      type="button"
      class={`action ${action}`}
      aria-disabled={off}
      aria-busy={pending.value === action}
      aria-keyshortcuts={keysOn.value ? hint : undefined}
      onClick={() => void (off || act(action))}
    >
      <Icon />
      <span>{label}</span>
      {keysOn.value && <kbd aria-hidden="true">{hint}</kbd>}
    </button>
  )
}

/** Loading, refused, used up, or nothing there. */
const NoFilm = (): JSX.Element => {
  if (trouble.value !== undefined)
    return (
      <div class="card blank">
        <TroubleNote trouble={trouble.value} />
      </div>
    )
  return (
    <div class="card blank" aria-busy={pending.value !== undefined}>
      <p class="blank-words">{blankWords()}</p>
    </div>
  )
}

const blankWords = (): string => {
  if (longWait.value !== undefined) return `Next film in ${duration(longWait.value)}`
  return pending.value === undefined ? 'Press Next for a film.' : 'Finding a film …'
}

const WaitNote = ({ seconds }: { readonly seconds: number }): JSX.Element => (
  <div class="note wait">
    <p class="note-title">
      Next film in <span class="count">{duration(seconds)}</span>
    </p>
    <p>The server asks for a pause. The buttons work again by themselves when it is over.</p>
  </div>
)

const KeysSwitch = (): JSX.Element => (
  <label class="switch">
    <input type="checkbox" checked={keysOn} onChange={({ currentTarget }) => (keysOn.value = currentTarget.checked)} />
    <span>
      Keys: <kbd>D</kbd> or <kbd>←</kbd> dislike, <kbd>N</kbd> next, <kbd>L</kbd> or <kbd>→</kbd> like
    </span>
  </label>
)
