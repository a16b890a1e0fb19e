package authorization

import "context"

type (
	deepKey   struct{}
	reviewKey struct{}
)

// WithDeep returns a context in which a SubjectAccessReview asks RBAC alone, provided that system:masters create it.
func WithDeep(ctx context.Context) context.Context { return context.WithValue(ctx, deepKey{}, true) }

func isDeep(ctx context.Context) bool {
	deep, _ := ctx.Value(deepKey{}).(bool)
	return deep
}

// withReview marks what is decided for a review rather than for the request itself.
func withReview(ctx context.Context) context.Context {
	return context.WithValue(ctx, reviewKey{}, true)
}

// IsReview reports whether the decision asked for is the answer to a review, not about the request itself.
func IsReview(ctx context.Context) bool {
	review, _ := ctx.Value(reviewKey{}).(bool)
	return review
}
