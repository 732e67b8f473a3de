import type { ApiDescription } from '../../src/api/site/document.ts'
import type { Finding } from './finding.ts'

/** A server on loopback, over HTTPS or over plain HTTP. */
export interface Target {
  readonly origin: string
  readonly port: number
  /** PEM file of the authority that signed its certificate. */
  readonly caFile: string
  readonly description: ApiDescription
  /** A POST route that reads its body before it decides, open to everybody; and a GET route with a long answer. */
  readonly slowBodyPath: string
  readonly longAnswerPath: string
  /** Of an admin who has logged in just now. */
  accessToken(): Promise<string>
  /** What it said of itself while it was attacked. */
  ownWords(): readonly Omit<Finding, 'tool'>[]
  /** Requests in its log so far. */
  requests(): number
}

export interface TargetKind {
  readonly scheme: 'http' | 'https'
  /** "raised": limits count and let through, so that a tool meets more than 429s. */
  readonly limits: 'raised' | 'default'
  /** For slow clients: one address may hold as many connections as there may be, or the cap of each address would hide the deadlines. */
  readonly manyConnections?: true
}

export type Start = (kind: TargetKind) => Promise<Target & AsyncDisposable>

export interface Surroundings {
  /** The tool's own, removed afterwards. */
  readonly folder: string
  /** Where targets come from: Filmgate, or what was built to be found. */
  readonly start: Start
  readonly selfCheck: boolean
}

export interface Checked {
  readonly findings: readonly Omit<Finding, 'tool'>[]
  /** What was done and measured, in one line. */
  readonly summary: string
}

export interface Tool {
  readonly name: string
  /** Beside Node; of the Debian package `debian`. */
  readonly program: string
  readonly debian: string
  check(surroundings: Surroundings): Promise<Checked>
  /** Ids that it must find in the weak server: a tool that is silent there says nothing by its silence. */
  readonly plants: readonly RegExp[]
}
