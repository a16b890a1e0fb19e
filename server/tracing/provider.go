package tracing

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	basetracing "k8s.io/component-base/tracing"
	tracingapi "k8s.io/component-base/tracing/api/v1"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// service is what collectors know this program by.
const service = "annex"

// Attributes of spans.
const (
	// Cluster is the name of the logical cluster, as in the audit log; * for all.
	Cluster = "kcp.io/cluster"
	// Address is what the client wrote in its place: a path or a name. Only the span of the look for the workspace has it.
	Address = "kcp.io/path"
)

// ResolveSpan is the name of the span of the look for the workspace of a request.
const ResolveSpan = "Resolve workspace"

// New returns the provider that a file with a TracingConfiguration describes. Instance tells this server apart from others. Shut the
// provider down, which sends what is left.
func New(ctx context.Context, file, instance string) (basetracing.TracerProvider, error) {
	config, err := genericoptions.ReadTracingConfiguration(file)
	if err != nil {
		return nil, err
	}
	if errs := tracingapi.ValidateTracingConfiguration(config, utilfeature.DefaultFeatureGate, nil); len(errs) > 0 {
		return nil, errs.ToAggregate()
	}
	provider, err := basetracing.NewProvider(ctx, config, nil, []resource.Option{
		resource.WithAttributes(semconv.ServiceNameKey.String(service), semconv.ServiceInstanceIDKey.String(instance)),
	})
	if err != nil {
		return nil, fmt.Errorf("preparing to send traces: %w", err)
	}
	registry, ok := provider.(interface{ RegisterSpanProcessor(sdktrace.SpanProcessor) })
	if !ok {
		return nil, errors.New("the library's provider of traces takes no processor")
	}
	registry.RegisterSpanProcessor(clusters{provider})
	return provider, nil
}

// clusters adds to each span the cluster of the request that it begins in.
type clusters struct{ provider trace.TracerProvider }

var _ sdktrace.SpanProcessor = clusters{}

// OnStart implements sdktrace.SpanProcessor.
func (c clusters) OnStart(ctx context.Context, span sdktrace.ReadWriteSpan) {
	if cluster, ok := logicalcluster.FromContext(ctx); ok {
		span.SetAttributes(attribute.String(Cluster, cluster.String()))
	} else if logicalcluster.IsWildcard(ctx) {
		span.SetAttributes(attribute.String(Cluster, logicalcluster.Wildcard.String()))
	}
	r, ok := ctx.Value(resolutionKey{}).(*resolution)
	if !ok || span.SpanKind() != trace.SpanKindServer || !r.told.CompareAndSwap(false, true) {
		return
	}
	// The request's own span has begun, after authentication; what was before it is told now.
	_, resolve := c.provider.Tracer(service).Start(trace.ContextWithSpan(ctx, span), ResolveSpan,
		trace.WithTimestamp(r.began), trace.WithAttributes(attribute.String(Address, r.address)))
	resolve.End(trace.WithTimestamp(r.ended))
}

// OnEnd implements sdktrace.SpanProcessor.
func (clusters) OnEnd(sdktrace.ReadOnlySpan) {}

// Shutdown implements sdktrace.SpanProcessor.
func (clusters) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdktrace.SpanProcessor.
func (clusters) ForceFlush(context.Context) error { return nil }
