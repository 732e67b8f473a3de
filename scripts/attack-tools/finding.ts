/** What a tool says against a server. */
export interface Finding {
  readonly tool: string
  /** What it is, in the tool's own words where it has short ones: `cert_chain_of_trust`, `injectable`, `status 200`. */
  readonly id: string
  /** Where: a route with its parameter, a path, a protocol; empty where it is the server as a whole. */
  readonly where: string
  /** The tool's own text. */
  readonly text: string
}

/** A finding that stays, and why. */
export interface Kept {
  readonly tool: string
  readonly id: RegExp
  readonly where?: RegExp
  readonly reason: string
  /** It depends on who is faster: nothing is wrong where it is not found. */
  readonly sometimes?: true
}

export interface Judgement {
  /** What nobody has given a reason for. */
  readonly open: readonly Finding[]
  readonly kept: readonly { readonly finding: Finding; readonly reason: string }[]
  /** Reasons that nothing asked for: what is excused must be there, or the excuse would later cover something else. */
  readonly unused: readonly Kept[]
}

const covers = (kept: Kept, { tool, id, where }: Finding): boolean =>
  kept.tool === tool && kept.id.test(id) && (kept.where === undefined || kept.where.test(where))

/** `ran` are the tools that had the chance to find something: a reason of another one is not unused. */
export const judge = (findings: readonly Finding[], table: readonly Kept[], ran: readonly string[]): Judgement => {
  const kept: { finding: Finding; reason: string }[] = []
  const open: Finding[] = []
  const used = new Set<Kept>()
  for (const finding of findings) {
    const reasons = table.filter((one) => covers(one, finding))
    const [first] = reasons
    if (first === undefined) open.push(finding)
    else {
      kept.push({ finding, reason: first.reason })
      reasons.forEach((one) => used.add(one))
    }
  }
  return { open, kept, unused: table.filter((one) => ran.includes(one.tool) && !used.has(one) && one.sometimes === undefined) }
}
