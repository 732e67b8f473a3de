export const minute = 60_000
export const hour = 60 * minute
export const day = 24 * hour
export const week = 7 * day

/** One unit leaks in so many seconds. */
export const oneIn = (seconds: number): number => 1 / seconds
