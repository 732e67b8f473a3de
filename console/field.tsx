import type { Signal } from '@preact/signals'
import type { ComponentChildren, JSX } from 'preact'

export interface FieldProps {
  readonly id: string
  readonly label: string
  readonly value: Signal<string>
  readonly hint?: ComponentChildren
  readonly error?: string | undefined
  /** Never shown as it is typed. */
  readonly secret?: boolean
  readonly inputMode?: 'numeric' | 'decimal'
  readonly required?: boolean
  /** Alone on its line. */
  readonly isWide?: boolean
}

/** A labelled field with what is wrong beside it. No `name`: nothing of a form can end up in an address. */
export const Field = ({
  id,
  label,
  value,
  hint,
  error,
  secret = false,
  inputMode,
  required = false,
  isWide = false,
}: FieldProps): JSX.Element => {
  const described = [hint === undefined ? '' : `${id}-hint`, error === undefined ? '' : `${id}-error`].filter(Boolean).join(' ')
  return (
    <div class={isWide ? 'field wide' : 'field'}>
      <label for={id}>
        {label}
        {required && <span class="fine"> required</span>}
      </label>
      <input
        id={id}
        {...(secret ? { type: 'password' } : { type: 'text', inputMode })}
        value={value}
        onInput={({ currentTarget }) => (value.value = currentTarget.value)}
        aria-invalid={error !== undefined}
        aria-describedby={described || undefined}
        aria-required={required}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
      />
      {hint !== undefined && (
        <p class="fine" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {error !== undefined && (
        <p class="field-error" id={`${id}-error`}>
          {error}
        </p>
      )}
    </div>
  )
}
