package tracing

import (
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	basetracing "k8s.io/component-base/tracing"
)

// Calls returns the options of a client of etcd whose calls get spans.
func Calls(provider trace.TracerProvider) []grpc.DialOption {
	return []grpc.DialOption{grpc.WithStatsHandler(otelgrpc.NewClientHandler(
		otelgrpc.WithPropagators(basetracing.Propagators()), otelgrpc.WithTracerProvider(provider)))}
}
