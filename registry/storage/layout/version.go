package layout

import (
	"bytes"
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

type versionKey struct{}

// WithVersion returns a context in which custom resources are stored in version.
func WithVersion(ctx context.Context, version string) context.Context {
	return context.WithValue(ctx, versionKey{}, version)
}

// VersionFrom returns the version in which ctx stores custom resources; empty if it does not say.
func VersionFrom(ctx context.Context) string {
	version, _ := ctx.Value(versionKey{}).(string)
	return version
}

type keepingKey struct{}

// KeepingVersion returns a context in which a custom resource is only changed if it is stored in the version in which it is read.
func KeepingVersion(ctx context.Context) context.Context {
	return context.WithValue(ctx, keepingKey{}, true)
}

// KeepsVersion reports whether ctx is one of KeepingVersion.
func KeepsVersion(ctx context.Context) bool {
	keeps, _ := ctx.Value(keepingKey{}).(bool)
	return keeps
}

// IsStoredIn reports whether an object is stored in a version, as can be told at a glance: it is false for an object with a field that comes before
// apiVersion.
func IsStoredIn(data []byte, gv schema.GroupVersion) bool {
	return bytes.HasPrefix(data, []byte(`{"apiVersion":"`+gv.String()+`"`))
}
