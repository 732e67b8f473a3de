import { signal } from '@preact/signals'

import { act, type Action } from './films.ts'

/** Keys of one letter can be switched off (WCAG 2.2, 2.1.4): speech input types them by accident. */
export const keysOn = signal(true)

const letters: Readonly<Record<string, Action>> = { l: 'like', d: 'dislike', n: 'next' }
const arrows: Readonly<Record<string, Action>> = { ArrowRight: 'like', ArrowLeft: 'dislike' }

/** Where keys have a meaning of their own. */
const typing = 'input, textarea, select, [contenteditable]'

export const listenToKeys = (target: Document): void => {
  target.addEventListener('keydown', (event) => {
    if (!keysOn.value || event.defaultPrevented || event.repeat || event.isComposing) return
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const at = event.target instanceof Element ? event.target : target.body
    if (at.closest(typing) !== null) return
    // An arrow scrolls whatever else has the focus.
    const action = letters[event.key.toLowerCase()] ?? (at === target.body || at.closest('.stage') ? arrows[event.key] : undefined)
    if (action === undefined) return
    event.preventDefault()
    void act(action)
  })
}
