import type { Page } from 'playwright-core'

/**
 * Runs in the page: every visible text against what lies behind it, by WCAG 2.2 (1.4.3, relative luminance and contrast ratio). Colours are
 * read from a canvas, so any notation will do; opacity of the text and its ancestors counts. Disabled controls are exempt.
 */
const measure = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1)
    canvas.fillStyle = colour
    canvas.fillRect(0, 0, 1, 1)
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data
    return [r, g, b, a / 255]
  }
  const over = ([r, g, b, a], under) => [r, g, b].map((one, i) => one * a + under[i] * (1 - a))
  const luminance = (colour) => {
    const [r, g, b] = colour.map((one) => (one / 255 <= 0.04045 ? one / 255 / 12.92 : ((one / 255 + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const ancestors = (one) => (one === null ? [] : [...ancestors(one.parentElement), one])
  const low = []
  let texts = 0
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement
    const text = walker.currentNode.data.trim()
    const isExempt = one.closest('.unseen, [aria-hidden=true]:not(kbd, svg), [aria-disabled=true], noscript') !== null
    if (text === '' || isExempt || !one.checkVisibility({ opacityProperty: true })) continue
    texts++
    const chain = ancestors(one)
    const styles = chain.map((each) => getComputedStyle(each))
    const behind = styles.reduce((under, style) => over(rgba(style.backgroundColor), under), [255, 255, 255])
    const style = getComputedStyle(one)
    const [r, g, b, a] = rgba(one.closest('svg') === null ? style.color : style.fill)
    const ink = over([r, g, b, styles.reduce((all, { opacity }) => all * Number(opacity), a)], behind)
    const [dark, bright] = [luminance(ink), luminance(behind)].sort((x, y) => x - y)
    const ratio = (bright + 0.05) / (dark + 0.05)
    const size = parseFloat(style.fontSize)
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700)
    if (ratio < (isLarge ? 3 : 4.5)) low.push(text.slice(0, 40) + ': ' + ratio.toFixed(2))
  }
  return { texts, low }
})()`

/** How many texts there are, and those with too little contrast. */
export const lowContrasts = async (page: Page): Promise<{ readonly texts: number; readonly low: readonly string[] }> =>
  (await page.evaluate(measure)) as Awaited<ReturnType<typeof lowContrasts>>
