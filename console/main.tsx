import { render } from 'preact'

import { act } from './films.ts'
import { listenToKeys } from './keys.ts'
import { startTicking } from './pace.ts'
import { Page } from './page.tsx'

const root = document.querySelector('#page')
if (root !== null) {
  root.replaceChildren()
  render(<Page />, root)
  listenToKeys(document)
  startTicking()
  void act('next')
}
