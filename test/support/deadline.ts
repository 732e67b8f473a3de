/** What `work` resolves with, or an error that names what was waited for. */
export const within = async <T>(limitMs: number, what: string, work: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${limitMs} ms`)), limitMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Resolves once `isSo`; asks again and again, because what it asks about cannot tell by itself. */
export const eventually = async (limitMs: number, what: string, isSo: () => boolean | Promise<boolean>): Promise<void> => {
  const startedMs = performance.now()
  while (!(await isSo())) {
    if (performance.now() - startedMs > limitMs) throw new Error(`${what}: not within ${limitMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
