import { computed, signal, type Signal } from '@preact/signals'
import type { JSX } from 'preact'

import { type Answer, callPatiently, type FieldError, type Trouble } from './answer.ts'
import { Field, type FieldProps } from './field.tsx'
import { type Film, showFilm } from './films.ts'
import { apiKey, bearer, isSendable } from './key.ts'
import { TroubleNote } from './trouble-note.tsx'
import { newFilm } from './new-film.ts'
import { fieldWords } from './words.ts'

interface FilmField extends Pick<FieldProps, 'label' | 'isWide' | 'inputMode'> {
  readonly member: string
}

const fields: readonly FilmField[] = [
  { member: 'name', label: 'Name', isWide: true },
  { member: 'director', label: 'Director' },
  { member: 'studio', label: 'Studio' },
  { member: 'genre', label: 'Genre' },
  { member: 'year', label: 'Year', inputMode: 'numeric' },
  { member: 'runtime_min', label: 'Runtime in minutes', inputMode: 'numeric' },
  { member: 'rating', label: 'Rating, 0 to 10', inputMode: 'decimal' },
]

const typed: ReadonlyMap<string, Signal<string>> = new Map(fields.map(({ member }) => [member, signal('')]))
const trouble = signal<Trouble | undefined>(undefined)
const keyError = signal<string | undefined>(undefined)
const added = signal<Film | undefined>(undefined)
const sending = signal(false)

const errors = computed(
  () => new Map((trouble.value?.errors ?? []).map(({ pointer, detail }: FieldError) => [pointer, fieldWords(detail)])),
)
/** What belongs to no field stands above the button. */
const isAllBeside = computed(
  () => errors.value.size > 0 && fields.filter(({ member }) => errors.value.has(`/${member}`)).length === errors.value.size,
)

const send = async (form: HTMLFormElement): Promise<void> => {
  if (sending.value) return
  const key = apiKey.value.trim()
  added.value = undefined
  trouble.value = undefined
  keyError.value = isSendable(key) ? undefined : key === '' ? 'Adding needs a key.' : 'This holds characters that no key has.'
  if (keyError.value === undefined) {
    sending.value = true
    const body = JSON.stringify(newFilm(new Map([...typed].map(([member, { value }]) => [member, value]))))
    take(await callPatiently('./add_film', { method: 'POST', body, headers: { 'Content-Type': 'application/json', ...bearer(key) } }))
    sending.value = false
  }
  // After the errors are drawn: to the first field that is wrong.
  requestAnimationFrame(() => form.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus())
}

const take = (answer: Answer): void => {
  trouble.value = answer.trouble
  if (answer.trouble !== undefined) return
  added.value = answer.json as Film
  for (const value of typed.values()) value.value = ''
}

export const AddFilm = (): JSX.Element => (
  <section class="work" id="add" aria-labelledby="add-heading">
    <div class="work-words">
      <h2 id="add-heading">Add a film</h2>
      <p>
        Needs an API key that may write films. The first start of the server left one in <code>filmgate-data/starter.key</code>.
      </p>
    </div>
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault()
        void send(event.currentTarget)
      }}
    >
      <Field
        id="add-key"
        label="API key"
        secret
        value={apiKey}
        required
        error={keyError.value}
        hint="Stays in this tab's memory and is gone when you close it."
      />
      <div class="fields">
        {fields.map(({ member, ...rest }) => (
          <Field
            key={member}
            id={`add-${member}`}
            {...rest}
            value={typed.get(member) as Signal<string>}
            required={member === 'name'}
            error={errors.value.get(`/${member}`)}
          />
        ))}
      </div>
      {trouble.value !== undefined && !isAllBeside.value && <TroubleNote trouble={trouble.value} />}
      {isAllBeside.value && (
        <p class="field-error" role="alert">
          {errors.value.size === 1 ? 'One field needs another look.' : `${errors.value.size} fields need another look.`}
        </p>
      )}
      <div class="row">
        <button type="submit" class="primary" aria-busy={sending.value}>
          Add this film
        </button>
        <Added />
      </div>
    </form>
  </section>
)

const showAdded = (film: Film): void => {
  showFilm(film)
  document.querySelector<HTMLElement>('#film')?.focus()
}

const Added = (): JSX.Element => {
  const film = added.value
  return (
    <div class="added" role="status">
      {film !== undefined && (
        <>
          <p>
            Added{' '}
            <strong>
              <bdi>{film.name}</bdi>
            </strong>{' '}
            as film {film.id}.
          </p>
          <button type="button" class="quiet" onClick={() => showAdded(film)}>
            Show it
          </button>
        </>
      )}
    </div>
  )
}
