import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'

import type { RawAnswer } from './raw-call.ts'

/** Status, header fields and body as they came; JSON indented on demand. */
export const RawAnswerView = ({ answer }: { readonly answer: RawAnswer }): JSX.Element => {
  const indented = useSignal(false)
  const pretty = indentedJson(answer)
  const { status, fields, body, bytes, durationMs, isCut } = answer
  return (
    <div class="answer">
      <div class="answer-head">
        <p class="status" data-class={status.charAt(0)}>
          {status}
        </p>
        <p class="fine">
          {Math.max(1, Math.round(durationMs))} ms · {bytes} bytes
        </p>
      </div>
      <dl class="header-fields">
        {fields.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {body === '' ? (
        <p class="fine no-body">No body.</p>
      ) : (
        <pre class="body" tabIndex={0} aria-label="Body of the answer">
          <code>{indented.value && pretty !== undefined ? pretty : body}</code>
        </pre>
      )}
      {isCut && <p class="fine">There is more of it than is shown here.</p>}
      {pretty !== undefined && (
        <label class="switch">
          <input type="checkbox" checked={indented} onChange={({ currentTarget }) => (indented.value = currentTarget.checked)} />
          <span>Indent the JSON</span>
        </label>
      )}
    </div>
  )
}

const indentedJson = ({ body, isCut }: RawAnswer): string | undefined => {
  if (isCut || !/^\s*[[{]/.test(body)) return undefined
  try {
    return JSON.stringify(JSON.parse(body), null, 2)
  } catch {
    return undefined
  }
}
