/** The parts of an OpenAPI 3.1 document that the description of this API has. */
export interface ApiDescription {
  readonly openapi: string
  readonly info: Readonly<Record<string, unknown>>
  readonly servers: readonly { readonly url: string; readonly description: string }[]
  readonly tags: readonly { readonly name: string; readonly description: string }[]
  /** By path, such as `/v1/films/{id}`, and by method in lower case. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>
    readonly responses: Readonly<Record<string, Response>>
    readonly headers: Readonly<Record<string, Header>>
    readonly securitySchemes: Readonly<Record<string, object>>
  }
}

export interface Reference {
  readonly $ref: string
}

/** JSON Schema 2020-12. */
export type Schema = Readonly<Record<string, unknown>>

export interface Operation {
  readonly operationId: string
  readonly summary: string
  readonly description: string
  readonly tags: readonly string[]
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly required: true; readonly content: Content }
  /** By status. */
  readonly responses: Readonly<Record<string, Response | Reference>>
  /** One of these is enough; an empty one needs no credentials. */
  readonly security: readonly Readonly<Record<string, readonly string[]>>[]
  readonly 'x-rate-limit': RateLimits
}

export interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query'
  readonly description: string
  readonly required: boolean
  readonly schema: Schema | Reference
}

/** By media type. */
export type Content = Readonly<Record<string, Media>>

export interface Media {
  readonly schema: Schema | Reference
  readonly example?: unknown
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>
}

export interface Response {
  readonly description: string
  readonly headers: Readonly<Record<string, Reference>>
  readonly content?: Content
}

export interface Header {
  readonly description: string
  /** Whether it is on every answer that lists it. */
  readonly required: boolean
  readonly schema: Schema
  readonly example: string | number
}

/** Effective under the configuration of this server, in the order of the RateLimit-Policy field. */
export interface RateLimits {
  /** Without credentials; empty where the route has no quota of its own and the field tells of `total`. */
  readonly anonymous: readonly RateLimit[]
  readonly authenticated: readonly RateLimit[]
  /** Over everything that a client sends. */
  readonly total: readonly RateLimit[]
}

export interface RateLimit {
  readonly name: string
  readonly limit: number
  readonly window_seconds: number
  readonly counted_over: string
}
