/** The layers, for other Fastify applications too: each a plugin that stands alone. */
export { permissionsOf, type Role } from '../core/access.ts'
export { systemClock, systemTimers } from '../core/clock.ts'
export type { AccessClaims } from '../credentials/access-token.ts'
export type { Principal } from '../core/request.ts'
export { createApiKey, formatApiKey, hashSecret } from '../credentials/api-key.ts'
export { accessLog, type AccessLogOptions, createRequestIds } from './access-log/plugin.ts'
export { createLog, eventLevels, type Log, type LogOptions } from './access-log/log.ts'
export { type AccessRecord, unparsedRecord } from './access-log/record.ts'
export { type LogSink, type OpenLogSink, openLogSink } from './access-log/sink.ts'
export type { KeyLookup } from './authentication/credentials.ts'
export { createExternalIssuers, type ExternalIssuer, type ExternalIssuers, type ExternalIssuersOptions } from './authentication/issuers.ts'
export { authentication, type AuthenticationOptions } from './authentication/plugin.ts'
export { authorization, type AuthorizationOptions } from './authorization.ts'
export { clientAddress, type ClientAddresses, createClientAddresses } from './client-address.ts'
export { concurrency, type ConcurrencyLimits, type ConcurrencyOptions } from './concurrency.ts'
export { corsFields, type CorsOptions, corsPreflights, type PreflightOptions } from './cors/plugin.ts'
export { CorsPolicies, corsRouteNames, type CorsRules } from './cors/policies.ts'
export { alertOf, type Message as AlertMessage } from './monitor/alerts.ts'
export { createMetrics, type Metrics, type MetricsOptions } from './metrics/metrics.ts'
export { begunRequests } from './metrics/plugin.ts'
export type {
  Decision as MonitorDecision,
  DecisionChange,
  DecisionScope,
  DecisionStore,
  DecisionType,
  Evidence,
  EvidenceSignal,
  Origin,
} from './monitor/decision.ts'
export { createAddressSet } from './monitor/address-set.ts'
export type { BucketState } from './monitor/detector.ts'
export { endedRequest, type RequestRecord, unparsedRequest } from './monitor/ended-request.ts'
export { Journal, type JournalEntry } from './monitor/journal.ts'
export {
  createMonitor,
  type DecisionOrder,
  type Monitor,
  type MonitorOptions,
  type MonitorPolicy,
  type RuleMode,
} from './monitor/monitor.ts'
export { createMemoryDecisions } from './monitor/memory-decisions.ts'
export { Digest } from './monitor/digest.ts'
export { nameOfChange, Outbox, type OutboxOptions } from './monitor/outbox.ts'
export { clientDecisions, type DecisionOptions, isAccountShut, principalDecisions, refuseAccount } from './monitor/plugin.ts'
export { RecentNames } from './monitor/recent-names.ts'
export { createSharedDecisions, type SharedDecisions } from './monitor/redis-store.ts'
export type { Rule } from './monitor/rule.ts'
export { builtInRules } from './monitor/rules/all.ts'
export { honeyPrefix } from './monitor/suspicious.ts'
export type { EndedRequest } from './monitor/signal.ts'
export { Webhook, type WebhookOutcome } from './monitor/webhook.ts'
export {
  addMethodAnswers,
  addNotFoundAnswer,
  collectRoutes,
  type DescribedAnswer,
  type RouteDescription,
  type RouteEntry,
  teachAllMethods,
} from './methods.ts'
export { Overload, overload, type OverloadOptions } from './overload.ts'
export { fieldErrors, problems, type ProblemsOptions } from './problems.ts'
export { createMemoryStore, type MemoryStoreOptions } from './rate-limit/memory-store.ts'
export { createFailureLimit, type FailureLimit, type FailureLimitOptions } from './rate-limit/failure-limit.ts'
export { exposedLimitFields } from './rate-limit/fields.ts'
export type { Charge } from './rate-limit/limiter.ts'
export { openRedisStore, type RedisStore, type RedisStoreOptions } from './rate-limit/redis-store.ts'
export { clientIdentity, type EffectiveLimits, limitedRouteNames, Limits, subjectIdentity } from './rate-limit/limits.ts'
export { formatLimits, LimitSyntaxError, parseLimits } from './rate-limit/notation.ts'
export { createRouteRefund, createTightened, createTotalCount, type LimitOptions, routeLimits, totalLimit } from './rate-limit/plugin.ts'
export type { LimitOverride, LimitRules, RouteLimits, SourcedQuota, SourcedWindow } from './rate-limit/policies.ts'
export type { Decision, Identity, LimiterStore, Quota, Window, WindowState } from './rate-limit/store.ts'
export { createSecuredResponses, securityHeaderFields, securityHeaders, type SecurityHeadersOptions } from './security-headers.ts'
export { throttle, type ThrottleOptions, type ThrottlePolicy } from './throttle/plugin.ts'
export { flushTraces, tracing, type TracingOptions } from './tracing.ts'
export { FailedHandshakes } from './transport/failed-handshakes.ts'
export type { Http2Abuse } from './transport/http2-connection.ts'
export { Http2Sessions } from './transport/http2-sessions.ts'
export { createHostCheck } from './transport/hosts.ts'
export { createMessageChecks } from './transport/message-checks.ts'
export {
  keepAliveMs,
  messageChecks,
  type MessageChecksOptions,
  secureTransportOptions,
  transport,
  type TransportOptions,
  transportOptions,
} from './transport/plugin.ts'
export { rawAnswer } from './transport/raw-answer.ts'
export { type ConnectionBound, Sockets, type Unparsed } from './transport/sockets.ts'
export { renewTicketKeys, replaceCertificate, ticketKeyMs, type TlsMaterial } from './transport/tls-context.ts'
export { ajvOptions, maxDepth, validation } from './validation/plugin.ts'
export { parseStrictJson, StrictJsonError } from './validation/strict-json.ts'
