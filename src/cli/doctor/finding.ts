/** What a check found. No member ever holds a secret or a password. */
export interface Finding {
  /** What was looked at, one or two words. */
  readonly check: string
  readonly status: 'ok' | 'warn' | 'fail'
  /** What was found and what it means. */
  readonly detail: string
  /** What to do, exactly; with every warning and failure. */
  readonly fix?: string
}

export const ok = (check: string, detail: string): Finding => ({ check, status: 'ok', detail })
export const warn = (check: string, detail: string, fix: string): Finding => ({ check, status: 'warn', detail, fix })
export const fail = (check: string, detail: string, fix: string): Finding => ({ check, status: 'fail', detail, fix })
