import { computed, signal } from '@preact/signals'
import type { JSX } from 'preact'

import { addressOf } from './address.ts'
import { type Call, type CallMethod, callMethods } from './curl.ts'
import { CurlCommand } from './curl-command.tsx'
import { Field } from './field.tsx'
import { apiKey, isSendable } from './key.ts'
import { type RawAnswer, sendRaw } from './raw-call.ts'
import { RawAnswerView } from './raw-answer-view.tsx'

const method = signal<CallMethod>('GET')
const path = signal('/')
const body = signal('{"name": "Moana", "studio": "Disney", "year": 2016}')
const withKey = signal(false)

const answer = signal<RawAnswer | undefined>(undefined)
const failure = signal<string | undefined>(undefined)
const keyError = signal<string | undefined>(undefined)
const sending = signal(false)

const address = computed(() => addressOf(path.value.trim(), new URL('.', location.href).href))
const call = computed((): Call | undefined => {
  if ('mistake' in address.value) return undefined
  const sent = method.value === 'POST' && body.value !== '' ? body.value : undefined
  return { method: method.value, url: address.value.url, body: sent, withKey: withKey.value }
})

const examples: readonly (readonly [label: string, method: CallMethod, path: string])[] = [
  ['A film at random', 'GET', '/'],
  ['Like film 1', 'GET', '/?like=1'],
  ['Film 1', 'GET', '/v1/films/1'],
  ['Add a film', 'POST', '/add_film'],
  ['How to add', 'HEAD', '/add_film'],
]

const send = async (): Promise<void> => {
  if (sending.value || call.value === undefined) return
  const key = withKey.value ? apiKey.value.trim() : undefined
  keyError.value = key === undefined || isSendable(key) ? undefined : 'Type a key first; it holds letters, digits and underscores.'
  if (keyError.value !== undefined) return
  sending.value = true
  answer.value = undefined
  failure.value = undefined
  try {
    answer.value = await sendRaw(call.value, key)
  } catch (error) {
    failure.value = error instanceof Error ? error.message : String(error)
  }
  sending.value = false
}

export const AnyCall = (): JSX.Element => (
  <section class="work" id="call" aria-labelledby="call-heading">
    <div class="work-words">
      <h2 id="call-heading">Try any call</h2>
      <p>Send it from here and read the answer as it came, or take it along as a curl command.</p>
      <div class="examples" role="group" aria-label="Examples">
        {examples.map(([label, itsMethod, itsPath]) => (
          <button
            key={label}
            type="button"
            class="quiet"
            onClick={() => {
              method.value = itsMethod
              path.value = itsPath
            }}
          >
            {label}
          </button>
        ))}
      </div>
    </div>
    <div>
      <CallForm />
      {call.value !== undefined && <CurlCommand call={call.value} />}
      <div aria-live="polite" aria-busy={sending.value}>
        {failure.value !== undefined && (
          <div class="note trouble">
            <p class="note-title">There is no answer to show</p>
            <p>{failure.value}</p>
          </div>
        )}
        {answer.value !== undefined && <RawAnswerView answer={answer.value} />}
      </div>
    </div>
  </section>
)

const CallForm = (): JSX.Element => (
  <form
    noValidate
    onSubmit={(event) => {
      event.preventDefault()
      void send()
    }}
  >
    <Methods />
    <Field id="call-path" label="Path" value={path} error={'mistake' in address.value ? address.value.mistake : undefined} />
    {method.value === 'POST' && <Body />}
    <label class="switch">
      <input type="checkbox" checked={withKey} onChange={({ currentTarget }) => (withKey.value = currentTarget.checked)} />
      <span>Send an API key</span>
    </label>
    {withKey.value && (
      <Field
        id="call-key"
        label="API key"
        secret
        value={apiKey}
        error={keyError.value}
        hint="The same key as above, kept in memory only."
      />
    )}
    <div class="row">
      <button type="submit" class="primary" aria-disabled={call.value === undefined} aria-busy={sending.value}>
        Send
      </button>
    </div>
  </form>
)

const Methods = (): JSX.Element => (
  <fieldset class="methods">
    <legend>Method</legend>
    {callMethods.map((one) => (
      <label key={one}>
        <input type="radio" name="call-method" value={one} checked={method.value === one} onChange={() => (method.value = one)} />
        <span>{one}</span>
      </label>
    ))}
  </fieldset>
)

const Body = (): JSX.Element => (
  <div class="field">
    <label for="call-body">JSON body</label>
    <textarea
      id="call-body"
      rows={4}
      value={body}
      onInput={({ currentTarget }) => (body.value = currentTarget.value)}
      autocomplete="off"
      autocapitalize="off"
      spellcheck={false}
    />
  </div>
)
