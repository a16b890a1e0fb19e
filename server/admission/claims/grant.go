package claims

import (
	"context"

	"k8s.io/apimachinery/pkg/labels"
)

// Grant is what the consumer lets a provider write.
type Grant struct {
	// Selectors select the objects: each must match one of them.
	Selectors []labels.Selector
	// Labels are added to each object, and protected.
	Labels map[string]string
}

// matches reports whether an object with the labels may be written.
func (g *Grant) matches(set labels.Set) bool {
	for _, s := range g.Selectors {
		if s.Matches(set) {
			return true
		}
	}
	return false
}

type grantKey struct{}

// With returns a context for a write by which a provider uses grant.
func With(ctx context.Context, grant *Grant) context.Context {
	return context.WithValue(ctx, grantKey{}, grant)
}

func from(ctx context.Context) *Grant {
	grant, _ := ctx.Value(grantKey{}).(*Grant)
	return grant
}
