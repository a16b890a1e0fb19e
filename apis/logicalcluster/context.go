package logicalcluster

import "context"

type targetKey struct{}

// target is the target of a request. The zero value is no target.
type target struct {
	name     Name
	wildcard bool
	unknown  bool
}

// WithCluster returns a context whose target is the one logical cluster called name.
func WithCluster(ctx context.Context, name Name) context.Context {
	return context.WithValue(ctx, targetKey{}, target{name: name})
}

// WithWildcard returns a context whose target is all logical clusters. Only reads are served for it.
func WithWildcard(ctx context.Context) context.Context {
	return context.WithValue(ctx, targetKey{}, target{wildcard: true})
}

// WithUnknown returns a context for an address that resolved to nothing. The authorizer refuses it like a cluster that the
// user may not enter, so that users cannot find out which clusters exist.
func WithUnknown(ctx context.Context) context.Context {
	return context.WithValue(ctx, targetKey{}, target{unknown: true})
}

// FromContext returns the one logical cluster that ctx is for; false for the wildcard, an unknown cluster, or no target.
func FromContext(ctx context.Context) (Name, bool) {
	t, _ := ctx.Value(targetKey{}).(target)
	return t.name, t.name != ""
}

// IsWildcard reports whether ctx is for all logical clusters.
func IsWildcard(ctx context.Context) bool {
	t, _ := ctx.Value(targetKey{}).(target)
	return t.wildcard
}

// IsUnknown reports whether ctx is for an address that resolved to nothing.
func IsUnknown(ctx context.Context) bool {
	t, _ := ctx.Value(targetKey{}).(target)
	return t.unknown
}
