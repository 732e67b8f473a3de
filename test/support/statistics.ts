/** Pearson's statistic of counts that should all be the same. */
export const chiSquare = (counts: readonly number[]): number => {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
}

/** How likely a statistic at least this large is by chance: the regularised upper gamma function Q(df/2, x/2), by series or fraction. */
export const chiSquareTail = (statistic: number, degreesOfFreedom: number): number => {
  const a = degreesOfFreedom / 2
  const x = statistic / 2
  const scale = Math.exp(a * Math.log(x) - x - logGamma(a))
  return x < a + 1 ? 1 - scale * lowerSeries(a, x) : scale * upperFraction(a, x)
}

const lowerSeries = (a: number, x: number): number => {
  let term = 1 / a
  let sum = term
  for (let n = a + 1; term > sum * 1e-16; n++) {
    term *= x / n
    sum += term
  }
  return sum
}

/** Lentz's continued fraction (Numerical Recipes, section 6.2). */
const upperFraction = (a: number, x: number): number => {
  let b = x + 1 - a
  let c = 1e300
  let d = 1 / b
  let value = d
  for (let i = 1; i < 10_000; i++) {
    b += 2
    const step = -i * (i - a)
    d = 1 / (step * d + b)
    c = b + step / c
    value *= c * d
    if (Math.abs(c * d - 1) < 1e-15) break
  }
  return value
}

/** Stirling's series after shifting the argument to where it is exact to 1e-15. */
const logGamma = (z: number): number => {
  let shift = 0
  let x = z
  while (x < 15) shift += Math.log(x++)
  const r = 1 / (x * x)
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + (1 / 12 - r * (1 / 360 - r * (1 / 1260 - r / 1680))) / x - shift
}

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return ((sorted[(sorted.length - 1) >> 1] ?? NaN) + (sorted[sorted.length >> 1] ?? NaN)) / 2
}
