import type { JSX } from 'preact'

import { reading, secondsLeft } from './pace.ts'
import { type QuotaWindow, tightest } from './rate-limit.ts'
import { duration, numberWords, shortNumber, windowWords } from './words.ts'

/** What is left of the quota that runs out first: a ring for the eye, the same in words for everybody. */
export const QuotaRing = (): JSX.Element => {
  const window = tightest(reading.value.windows)
  if (window === undefined) return <NoQuota />
  const { remaining, limit } = window
  const short = shortNumber(remaining)
  const share = limit === undefined || limit === 0 ? 0 : Math.min(1, remaining / limit)
  return (
    <div class="quota" data-level={share === 0 ? 'none' : share <= 0.2 ? 'low' : 'fine'}>
      <svg class="ring" viewBox="0 0 64 64" aria-hidden="true">
        <circle class="track" cx="32" cy="32" r="27" />
        {share > 0 && <circle class="left" cx="32" cy="32" r="27" pathLength="100" stroke-dasharray={`${share * 100} 100`} />}
        <text x="32" y="33" class={short.length > 3 ? 'tight' : undefined}>
          {short}
        </text>
      </svg>
      <div>
        <p class="left-words">{leftWords(window)}</p>
        <p class="fine">{resetWords(window)}</p>
      </div>
    </div>
  )
}

/** Before the first answer, and where the operator frees everybody of limits. */
const NoQuota = (): JSX.Element => (
  <div class="quota">
    <svg class="ring" viewBox="0 0 64 64" aria-hidden="true">
      <circle class="track" cx="32" cy="32" r="27" />
    </svg>
    <p class="fine">No quota is known.</p>
  </div>
)

const leftWords = ({ remaining, limit, lengthSeconds }: QuotaWindow): string =>
  `${numberWords(remaining)}${limit === undefined ? '' : ` of ${numberWords(limit)}`} left${lengthSeconds === undefined ? '' : ` ${windowWords(lengthSeconds)}`}`

/** The windows slide: when the time is over the oldest call is forgotten, not all of them. */
const resetWords = ({ resetSeconds }: QuotaWindow): string => {
  if (resetSeconds === undefined) return ''
  const seconds = secondsLeft(resetSeconds)
  return seconds > 0 ? `more in ${duration(seconds)}` : 'more by now'
}
