/** The look of the description. The colours are those of the page (console/styles/ground.css). */
export const style = `
:root { color-scheme: light dark; --paper: #f7f3ec; --sheet: #fffdf9; --ink: #1f1a15; --faint: #655c50; --line: #e3dbce; --edge: #8b8070;
  --accent: #8c2f1b; --on-accent: #fff8f0; --read: #2d6a3a; --write: #8a5000; --remove: #a3170f;
  --serif: 'Iowan Old Style', 'Palatino Linotype', Palatino, 'TeX Gyre Pagella', 'URW Palladio L', Georgia, serif;
  --mono: ui-monospace, 'SF Mono', 'Cascadia Code', Menlo, Consolas, 'DejaVu Sans Mono', monospace }
@media (prefers-color-scheme: dark) { :root { --paper: #151310; --sheet: #1e1b17; --ink: #efe8dd; --faint: #aca292; --line: #36302a;
  --edge: #81776a; --accent: #f0a58b; --on-accent: #2b1009; --read: #8fd19e; --write: #f0bd6b; --remove: #ff9d8f } }
* { box-sizing: border-box }
html { scroll-padding-top: 1.5rem; -webkit-text-size-adjust: 100% }
body { margin: 0 auto; max-width: 78rem; padding: 0 1.25rem 6rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.6 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif; overflow-wrap: anywhere }
a { color: inherit; text-decoration-color: var(--edge); text-underline-offset: .2em }
a:hover { color: var(--accent); text-decoration-color: currentcolor }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px }
main:focus { outline: none }
h1, h2, h3, h4, .wordmark { line-height: 1.25; text-wrap: balance }
h1 { margin: 2rem 0 .5rem; font: 600 2.25rem/1.15 var(--serif); letter-spacing: -.01em }
h2 { margin: 4rem 0 .5rem; padding-bottom: .5rem; border-bottom: 1px solid var(--line); font: 600 1.5rem/1.25 var(--serif) }
h3 { margin: 0 0 .25rem; font-size: 1.0625rem }
h4 { margin: 1.5rem 0 .25rem; font-size: .8125rem; letter-spacing: .06em; text-transform: uppercase; color: var(--faint) }
p { margin: .5rem 0; max-width: 44rem }
code, pre { font-family: var(--mono); font-size: .875em }
pre code { font-size: 1em }
pre { margin: 1rem 0; padding: .875rem 1rem; border: 1px solid var(--line); border-radius: .5rem; background: var(--paper);
  font-size: .8125rem; line-height: 1.5; white-space: pre-wrap }
article { margin: 1.5rem 0; padding: 1.25rem; border: 1px solid var(--line); border-radius: .75rem; background: var(--sheet) }
article:target { border-color: var(--accent) }
.summary { font-weight: 600 }
.fine { color: var(--faint); font-size: .875rem }
.said { color: var(--faint) }
.method { font: 700 .8125rem var(--mono); letter-spacing: .04em; color: var(--write) }
.get, .head { color: var(--read) }
.delete { color: var(--remove) }
dl { margin: .5rem 0 }
dt { margin-top: .5rem }
dd { margin: 0 0 0 1.25rem; max-width: 44rem }
dd .members { padding-left: .75rem; border-left: 2px solid var(--line) }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: .75rem 0; font-size: .9375rem }
.facts dt { margin: 0; color: var(--faint) }
.facts dd { margin: 0 }
summary { cursor: pointer; font-size: .9375rem; color: var(--faint) }
nav ul { margin: 0; padding: 0; list-style: none }
nav > ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem }
nav ul ul { display: none }
.wordmark { margin: 1.75rem 0 .75rem; font: italic 600 1.5rem/1 var(--serif) }
.skip { position: absolute; top: .5rem; left: .5rem; z-index: 1; padding: .5rem 1rem; border-radius: .5rem; background: var(--accent);
  color: var(--on-accent) }
.skip:hover { color: var(--on-accent) }
.skip:not(:focus) { translate: 0 -200% }
@media (min-width: 44rem) {
  .members { display: grid; grid-template-columns: 11rem minmax(0, 1fr); gap: .375rem 1rem }
  .members > dt { margin: 0 }
  .members > dd { margin: 0 }
  dd .members { grid-template-columns: 9rem minmax(0, 1fr) }
}
@media (min-width: 64rem) {
  body { display: grid; grid-template-columns: 16rem minmax(0, 1fr); gap: 3rem }
  nav { position: sticky; top: 0; max-height: 100vh; overflow-y: auto; padding-bottom: 2rem; font-size: .9375rem }
  nav > ul { display: block }
  nav ul ul { display: block; margin: .125rem 0 .75rem; padding-left: .75rem; border-left: 1px solid var(--line); font-size: .875rem }
}
@media print { nav, .skip { display: none } article { break-inside: avoid-page } }`
