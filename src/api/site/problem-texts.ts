import { type FieldError, Problem, type ProblemCode } from '../../core/errors.ts'
import { type ProblemDocument, problemDocument } from '../../core/problem-document.ts'

/** What a person reads who follows the `type` of a problem. */
export interface ProblemText {
  readonly means: string
  /** What the client should do, a step each. */
  readonly steps: readonly string[]
  /** What the example says beside what its code fixes. */
  readonly example: {
    readonly detail: string
    readonly errors?: readonly FieldError[]
    readonly members?: Readonly<Record<string, unknown>>
  }
}

/** One text for every code. */
export const problemTexts: Readonly<Record<ProblemCode, ProblemText>> = {
  validation_failed: {
    means: 'The request was understood, but something in its body, query or path is not what this call takes. Nothing was changed.',
    steps: [
      'Read the member errors: each entry names one field by a JSON pointer, into the body or with /query, /path or /header in front, and says what is wrong with it.',
      'Correct these fields and send the request again. The same request gets the same answer.',
    ],
    example: {
      detail: 'Correct the fields named in errors and send the request again.',
      errors: [{ pointer: '/year', detail: 'must be >= 1870' }],
    },
  },
  bad_request: {
    means:
      'The message itself is broken: JSON that does not parse, a member that stands twice, a broken percent escape, a doubled Host or Authorization field.',
    steps: ['Read the member detail, which says what could not be read.', 'Mend the client. The same request gets the same answer.'],
    example: { detail: 'The target has a broken percent escape.' },
  },
  unauthenticated: {
    means:
      'This call needs credentials and there were none, or those that came are not valid: malformed, unknown, expired or revoked. The answer is the same for all of these. At a login: the name or the password, the code, the passkey or the refresh token is not right, or not any more. And some calls want more than valid credentials: a login of the last minutes, or one with a second factor.',
    steps: [
      'Send the field Authorization with the word Bearer, one space and an access token or an API key.',
      'If you did, get the next access token with POST /v1/auth/refresh, or log in again with POST /v1/auth/login.',
      'Where WWW-Authenticate says insufficient_user_authentication, only a login of the last minutes will do, with the second factor where the account has one: log in again. A refresh does not make a login newer, and an API key is none.',
      'A refresh token is good once. One that comes a second time ends its session, for it may be in two hands: log in again.',
      'An API key that works no more was revoked or has expired: ask its owner for a new one.',
      'For a call that everybody may make, leave the field out.',
    ],
    example: { detail: 'Send "Authorization: Bearer" with an access token or an API key.' },
  },
  forbidden: {
    means:
      'Who you are is known, or does not matter, but you may not do this. The member detail says why: the credentials do not carry a permission; an API key was sent where only a login will do; the account is your own, or the scope is more than you have; registration is closed; the session cookie came from another page than ours.',
    steps: [
      'Where a permission is named: use credentials with it, or ask an admin of this server for the role that has it.',
      'Where it is about an API key: log in, and send the access token.',
      'Where your role needs a second factor: add one under /v1/me, or log in with it.',
      'Do not retry with the same ones.',
    ],
    example: { detail: 'These credentials do not carry the permission films:write.' },
  },
  not_found: {
    means: 'There is nothing at this address, or nothing that you may know of.',
    steps: ['Check the path: it is case-sensitive, and a slash at its end makes another path.', 'Check the id: ids are never used again.'],
    example: { detail: 'There is no such film.' },
  },
  method_not_allowed: {
    means: 'The address exists, but not with this method.',
    steps: ['Use one of the methods that the field Allow of the answer lists. OPTIONS asks for the same list.'],
    example: { detail: 'This answers GET, HEAD, OPTIONS.' },
  },
  not_acceptable: {
    means: 'The field Accept excludes every form in which this call can answer.',
    steps: ['Leave Accept out, or let it include the media type that the member detail names.'],
    example: { detail: 'This answers application/json.' },
  },
  request_timeout: {
    means: 'The request did not arrive as a whole in time, so the connection was closed.',
    steps: ['Send the request again, at once and as a whole.', 'If it happens often, look at the network between you and this server.'],
    example: { detail: 'Send the whole request in time.' },
  },
  conflict: {
    means:
      'The request does not fit the present state of what it wants to change: a name that is taken, the last admin, the last factor of a role that needs one, as many keys as there may be, a passkey where the server has no name to bind it to, or somebody else was faster. Nothing was changed.',
    steps: [
      'Read the member detail: it says what stands in the way.',
      'Read the present state, decide again, and send the request that fits it.',
    ],
    example: { detail: 'Another change came first.' },
  },
  precondition_failed: {
    means:
      'A precondition of the request, such as If-Match, does not hold: somebody else changed it since you read it. Nothing was changed.',
    steps: ['Read it again, apply your change to what is there now, and send it with the new ETag.'],
    example: { detail: 'The film was changed since you read it.' },
  },
  payload_too_large: {
    means: 'The body is larger than this server takes.',
    steps: ['Send a smaller body. The operator sets the largest size.'],
    example: { detail: 'Send a smaller body.' },
  },
  uri_too_long: {
    means: 'The target of the request, its path and query together, is longer than this server takes.',
    steps: ['Send a shorter target.'],
    example: { detail: 'Send a target of at most 4096 characters.' },
  },
  unsupported_media_type: {
    means:
      'The body is not of a type that this server reads. Forms and plain text are never read, so that no other site can send them here.',
    steps: ['Send the body as JSON in UTF-8, with the field Content-Type: application/json and without Content-Encoding.'],
    example: { detail: 'Send application/json in UTF-8, without Content-Encoding.' },
  },
  expectation_failed: {
    means: 'The field Expect asks for something that this server does not do.',
    steps: ['Leave Expect out, or send 100-continue.'],
    example: { detail: 'The only expectation that is met is 100-continue.' },
  },
  misdirected_request: {
    means:
      'The field Host names a host that this server does not answer for. This keeps other sites from reaching it through a name of theirs.',
    steps: [
      'Call the server by the name that its operator gave you.',
      'If you are the operator: name further hosts in server.hosts or server.public_url.',
    ],
    example: { detail: 'This server does not answer for that host.' },
  },
  idempotency_mismatch: {
    means: 'The Idempotency-Key was used before, for another request.',
    steps: ['Make a new key for each new request, and use a key again only to repeat the same one.'],
    example: { detail: 'This key was used for another request.' },
  },
  precondition_required: {
    means: 'This change is made only with a precondition, so that nobody overwrites what somebody else wrote.',
    steps: ['Read what you want to change, and send your change with If-Match and the ETag that you got.'],
    example: { detail: 'Send If-Match.' },
  },
  quota_exceeded: {
    means:
      'You have used up a quota. The field RateLimit-Policy lists the quotas, RateLimit what is left of them, and the member violated-policies names those that are used up. There, throttle means that too many of your requests wait for their turn already, and concurrency that too many are being answered at the same time. What begins with login, account or claim counts wrong passwords and codes: of your address, of everybody for one account, at the claim of the first admin.',
    steps: [
      'Wait for as many seconds as Retry-After says: then the request is let in.',
      'Slow down before it comes to this: RateLimit on every answer tells how much is left.',
      'With throttle or concurrency among them: send fewer requests at the same time.',
      'With an access token or an API key you have quotas of your own.',
      'After too many wrong passwords or codes even the right one is refused until then. From where you logged in before, the guesses of others do not keep you out.',
    ],
    example: { detail: 'This is limited to 1 request in 1 second. Try again in 1 second.', members: { 'violated-policies': ['second'] } },
  },
  abnormal_usage_detected: {
    means: 'What comes from your address looks like an attack, so it is refused for a while.',
    steps: [
      'Stop what you are sending, and wait for as many seconds as Retry-After says.',
      'If it is a mistake, tell the operator of this server the request_id.',
    ],
    example: { detail: 'Requests from your address are refused for a while.' },
  },
  headers_too_large: {
    means: 'The header fields of the request are too many or too large.',
    steps: ['Send fewer or smaller fields. Cookies are not needed here.'],
    example: { detail: 'Send fewer or smaller header fields.' },
  },
  internal: {
    means: 'Something went wrong on our side. It is not your fault, and it was written down.',
    steps: ['Send the request again later.', 'If it stays, tell the operator of this server the request_id: it leads to what happened.'],
    example: { detail: 'Something went wrong on our side. The request id helps to find it.' },
  },
  temporary_reduced_capacity: {
    means:
      'The server is too busy to answer this in time: too much is being answered, or waits for its turn, already. It refuses some requests so that it can keep up with the others. Passwords are checked a few at a time, because each takes much memory: a flood of logins is refused so, and all else goes on. A server that is stopping answers so too.',
    steps: ['Wait for as many seconds as Retry-After says, then send the request again.'],
    example: { detail: 'The catalogue is changing too fast. Try again.' },
  },
  store_unavailable: {
    means:
      'What the server stores its data or its counters in cannot be read or written at the moment. What was refused was not stored, unless the connection to the database broke in the very moment of the commit. Also where an access token is of another issuer who does not answer, so that it cannot be verified.',
    steps: ['Wait for as many seconds as Retry-After says, then send the request again.'],
    example: { detail: 'Storage cannot write at the moment; this was not acknowledged. Try again later.' },
  },
}

/** A whole document of that kind, as an answer carries it. */
export const exampleProblem = (code: ProblemCode): ProblemDocument =>
  problemDocument(new Problem(code, problemTexts[code].example), '5f3a9c1e07b2d84461aa90fe')
