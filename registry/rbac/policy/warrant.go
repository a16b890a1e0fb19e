package policy

import (
	"context"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

type warrantKey struct{}

// WithWarrant returns a context for a write in cluster that has been allowed by somebody else than the RBAC of cluster: by a claim that the
// cluster accepted. The user of the write may grant there what administrators may, because the consumer, not the RBAC of the
// consumer, decides what a provider does. It counts for nothing but the write itself: whoever asks what a user may do gets
// the same answer with it and without.
func WithWarrant(ctx context.Context, cluster logicalcluster.Name) context.Context {
	return context.WithValue(ctx, warrantKey{}, cluster)
}

// Warranted reports whether ctx is for a write in cluster with such a warrant.
func Warranted(ctx context.Context, cluster logicalcluster.Name) bool {
	warranted, ok := ctx.Value(warrantKey{}).(logicalcluster.Name)
	return ok && !cluster.Empty() && warranted == cluster
}
