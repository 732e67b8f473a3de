// Traces of Filmgate for a collector of OpenTelemetry (docs/tracing.md). In a folder of its own, such as /etc/filmgate:
//   npm install @opentelemetry/sdk-trace-node @opentelemetry/resources @opentelemetry/exporter-trace-otlp-http
//   OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 NODE_OPTIONS='--import /etc/filmgate/otel.mjs' filmgate serve
// OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER and the other variables of the SDK mean what they mean everywhere.
import { isMainThread } from 'node:worker_threads'

import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'

// The thread that writes to SQLite gets the same options, and has nothing to tell.
if (isMainThread) {
  const resource = defaultResource()
    .merge(resourceFromAttributes({ 'service.name': 'filmgate' }))
    .merge(detectResources({ detectors: [envDetector] }))
  new NodeTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] }).register()
}
