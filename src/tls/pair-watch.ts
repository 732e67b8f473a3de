import type { Pair, TlsMistake } from './pair.ts'
import type { LoadedPair } from './pair-files.ts'

/** Where certificates come from: files that somebody else renews. */
export interface PairSource {
  /** Another text whenever what stands there is something else; cheap, never rejects. */
  readonly stamp: () => Promise<string>
  readonly load: () => Promise<LoadedPair>
}

export interface PairWatchOptions {
  readonly source: PairSource
  readonly first: { readonly pair: Pair; readonly stamp: string }
  /** A good pair that is another than the one in force. */
  readonly onReplaced: (pair: Pair) => void
  /** What stands there cannot be used; told once for each state of the files. */
  readonly onRefused: (mistakes: readonly TlsMistake[]) => void
}

export interface PairWatch {
  /** To be called again and again. Takes over what has changed, once it stands still. */
  readonly look: () => Promise<void>
  /** Reads at once, and tells of what is wrong again. */
  readonly reload: () => Promise<void>
  /** What is wrong with what stands there now; empty where it is in force. */
  readonly refused: () => readonly TlsMistake[]
}

/** So many looks without a change before a pair that does not fit is called wrong: between its two files somebody may be half way. */
const looksBeforeRefusal = 5

/**
 * Renewal writes two files, one after the other, or swaps two symbolic links: nothing is read before it was the same in two looks, and a
 * mistake is told of only after some more. A pair that cannot be used never takes the place of one that can.
 */
export const createPairWatch = ({ source, first, onReplaced, onRefused }: PairWatchOptions): PairWatch => {
  let inForce = first.pair.material
  /** What was judged already. */
  let judged = first.stamp
  let seen = first.stamp
  let looksAlike = 0
  let refused: readonly TlsMistake[] = []
  let work: Promise<void> = Promise.resolve()

  const take = async (isPatient: boolean): Promise<void> => {
    const loaded = await source.load()
    if (loaded.stamp !== seen) {
      seen = loaded.stamp
      looksAlike = 0
      // It changes just now: the next looks will tell.
      if (isPatient) return
    }
    if ('mistakes' in loaded) {
      if (isPatient && looksAlike < looksBeforeRefusal) return
      judged = loaded.stamp
      refused = loaded.mistakes
      onRefused(refused)
      return
    }
    judged = loaded.stamp
    refused = []
    const { pair } = loaded
    if (pair.material.cert === inForce.cert && pair.material.key === inForce.key) return
    inForce = pair.material
    onReplaced(pair)
  }

  const look = async (): Promise<void> => {
    const stamp = await source.stamp()
    if (stamp !== seen) {
      seen = stamp
      looksAlike = 0
      return
    }
    looksAlike++
    if (stamp !== judged) await take(true)
  }

  /** One after the other: two reads at once could end in the wrong order. */
  const inTurn = (act: () => Promise<void>) => (): Promise<void> => {
    const turn = work.then(act)
    work = turn.catch(() => undefined)
    return turn
  }
  return { look: inTurn(look), reload: inTurn(() => take(false)), refused: () => refused }
}
