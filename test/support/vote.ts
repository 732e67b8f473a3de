import type { Vote, VoteRepository } from '../../src/api/votes/repository.ts'

/** One vote; whether there is such a film. */
export const voteOn = async (votes: VoteRepository, filmId: number, voter: string, value: Vote['value']): Promise<boolean> =>
  (await votes.record(voter, [{ filmId, value }]))[0] === true
