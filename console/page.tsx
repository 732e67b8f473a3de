import type { JSX } from 'preact'

import { AddFilm } from './add-film.tsx'
import { AnyCall } from './any-call.tsx'
import { Stage } from './stage.tsx'

export const Page = (): JSX.Element => (
  <>
    <a class="skip" href="#film">
      To the film
    </a>
    <header class="top">
      <p class="wordmark">Filmgate</p>
      <nav aria-label="On this page">
        <a href="#add">Add a film</a>
        <a href="#call">Try any call</a>
      </nav>
    </header>
    <main>
      <Stage />
      <AddFilm />
      <AnyCall />
    </main>
    <footer class="bottom">
      <p>This page keeps nothing and loads nothing from anywhere else.</p>
    </footer>
  </>
)
