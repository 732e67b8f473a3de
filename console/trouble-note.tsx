import type { JSX } from 'preact'

import type { Trouble } from './answer.ts'

/** A refusal in words, with the id that finds it in the log. */
export const TroubleNote = ({ trouble }: { readonly trouble: Trouble }): JSX.Element => (
  <div class="note trouble" role="alert">
    <p class="note-title">{trouble.title}</p>
    <p>{trouble.detail}</p>
    {trouble.requestId !== undefined && (
      <p class="fine">
        Request <code>{trouble.requestId}</code>
      </p>
    )}
  </div>
)
