import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useRef } from 'preact/hooks'

import { type Call, curlCommand } from './curl.ts'

/** The call as a command. Where the browser gives no clipboard (plain HTTP, a refusal) the command is selected for Ctrl+C. */
export const CurlCommand = ({ call }: { readonly call: Call }): JSX.Element => {
  const shown = useRef<HTMLElement>(null)
  const command = curlCommand(call)
  const copied = useSignal<{ readonly command: string; readonly how: 'copied' | 'selected' } | undefined>(undefined)
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(command)
      copied.value = { command, how: 'copied' }
    } catch {
      if (shown.current !== null) getSelection()?.selectAllChildren(shown.current)
      copied.value = { command, how: 'selected' }
    }
  }
  const how = copied.value?.command === command ? copied.value.how : undefined
  return (
    <div class="command">
      <div class="command-head">
        <p>For a shell</p>
        <button type="button" class="quiet" onClick={() => void copy()}>
          Copy as curl
        </button>
      </div>
      <pre tabIndex={0} aria-label="The call as a curl command">
        <code ref={shown}>{command}</code>
      </pre>
      <p class="fine" role="status">
        {how === 'copied' && 'Copied. '}
        {how === 'selected' && 'The browser does not let this page copy. The command is selected: press Ctrl+C. '}
        {call.withKey && 'Your key is not in it: the command reads the key from a file. Change the path if yours lies elsewhere.'}
      </p>
    </div>
  )
}
