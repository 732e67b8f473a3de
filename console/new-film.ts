const numbers: ReadonlySet<string> = new Set(['year', 'runtime_min', 'rating'])

/**
 * The body that a form stands for: what is empty is left out, numbers are numbers. Text where a number belongs goes as text, because the
 * server's schema is the one judge of a film, and its words about the field are shown beside it.
 */
export const newFilm = (typed: ReadonlyMap<string, string>): Readonly<Record<string, string | number>> =>
  Object.fromEntries(
    [...typed].flatMap(([member, raw]) => {
      const text = raw.trim()
      if (text === '') return []
      return [[member, numbers.has(member) && /^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : text]]
    }),
  )
