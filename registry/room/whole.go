package room

import "context"

// WholeFactor is about how much more memory an answer that is encoded as a whole takes than its objects have bytes: most encoders make it
// twice, or bring it into another form in between.
const WholeFactor = 4

type wholeKey struct{}

// Whole returns a context for a request whose answer is encoded as a whole. Others are encoded and sent object by object.
func Whole(ctx context.Context) context.Context { return context.WithValue(ctx, wholeKey{}, true) }

// IsWhole reports whether the answer to the request of ctx is encoded as a whole.
func IsWhole(ctx context.Context) bool {
	whole, _ := ctx.Value(wholeKey{}).(bool)
	return whole
}
