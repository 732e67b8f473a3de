import type { Timers } from '../../../core/clock.ts'
import type { Database } from '../../../db/open.ts'
import { statement, template } from '../../../db/unit.ts'

export interface KeyUses {
  /** For each request with a key that was found to be right; costs it a look into a map. */
  note(id: string): void
  /** Writes what is not written yet. */
  close(): Promise<void>
}

/** Often enough to see which keys nobody uses, and seldom enough to be no load. */
const everyMs = 3_600_000
const writeAfterMs = 5000
/** What is forgotten is written a little more often. */
const maxRemembered = 10_000

/**
 * When each key was last used, to the hour. It is written behind the requests and all together: a key is checked by reading alone, so that
 * storage which cannot write keeps nobody out. What gets lost is noted again by the next use.
 */
export const createKeyUses = ({ reader, commit }: Pick<Database, 'reader' | 'commit'>, epochMs: () => number, timers: Timers): KeyUses => {
  const noted = new Map<string, number>()
  let waiting = new Map<string, number>()
  let callOff: (() => void) | undefined
  let writing: Promise<void> = Promise.resolve()
  const touch = compileTouch(reader)

  const write = (): void => {
    callOff = undefined
    const uses = [...waiting]
    waiting = new Map()
    if (uses.length === 0) return
    const unit = uses.map(([id, at]) => statement(touch({ id, at, before: at - everyMs })))
    const lost = (): void => uses.forEach(([id]) => noted.delete(id))
    const written = commit(unit).then(({ result }) => (result === 'committed' ? undefined : lost()), lost)
    writing = Promise.all([writing, written]).then(() => undefined)
  }
  return {
    note: (id) => {
      const now = epochMs()
      const last = noted.get(id)
      // A clock that was set back must not end the noting until it has caught up.
      if (last !== undefined && Math.abs(now - last) < everyMs) return
      noted.delete(id)
      if (noted.size >= maxRemembered) for (const [oldest] of noted.entries().take(1)) noted.delete(oldest)
      noted.set(id, now)
      waiting.set(id, now)
      callOff ??= timers.after(writeAfterMs, write)
    },
    close: async () => {
      callOff?.()
      write()
      await writing
    },
  }
}

/** Other instances have notes of their own: the row says whether it is an hour. */
const compileTouch = (db: Database['reader']) =>
  template<{ id: string; at: number; before: number }>(['id', 'at', 'before'], ({ id, at, before }) =>
    db
      .updateTable('api_key')
      .set({ last_used_at: at })
      .where('id', '=', id)
      .where((e) => e.or([e('last_used_at', 'is', null), e('last_used_at', '<=', before)])),
  )
