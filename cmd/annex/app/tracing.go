package app

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	basetracing "k8s.io/component-base/tracing"

	"github.com/annex-dev/annex/server/tracing"
)

// trace returns the provider of spans, and the options by which clients of etcd use it; nil without --tracing-config-file.
func (o *Options) trace(ctx context.Context) (basetracing.TracerProvider, []grpc.DialOption, error) {
	if o.TracingConfigFile == "" {
		return nil, nil, nil
	}
	id, err := serverID()
	if err != nil {
		return nil, nil, err
	}
	provider, err := tracing.New(ctx, o.TracingConfigFile, id)
	if err != nil {
		return nil, nil, fmt.Errorf("--tracing-config-file: %w", err)
	}
	return provider, tracing.Calls(provider), nil
}
