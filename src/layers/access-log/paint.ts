import { styleText } from 'node:util'

type Colour = 'green' | 'cyan' | 'yellow' | 'red' | 'gray'

/** Text in a colour, or as it is. */
export type Paint = Readonly<Record<Colour, (text: string) => string>>

const asItIs = (text: string): string => text

/** For files and pipes: what reads them takes colours for text. */
export const unpainted: Paint = { green: asItIs, cyan: asItIs, yellow: asItIs, red: asItIs, gray: asItIs }

/** As far as that terminal shows colours, and its user wants any (NO_COLOR, FORCE_COLOR). */
export const createPaint = (terminal: NodeJS.WritableStream): Paint => {
  const painted = (colour: Colour) => {
    const [on = '', off = ''] = styleText(colour, '|', { stream: terminal }).split('|')
    return (text: string): string => on + text + off
  }
  return { green: painted('green'), cyan: painted('cyan'), yellow: painted('yellow'), red: painted('red'), gray: painted('gray') }
}
