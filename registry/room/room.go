package room

import (
	"context"
	"fmt"
)

// Room is the memory for the answer to one request. It is free again when the request has ended.
type Room interface {
	// Take takes so many bytes. It returns a [TooLargeError] if that is more than one answer may have, and the API status TooManyRequests if
	// other requests have the memory. The first bytes of an answer are never too large.
	Take(bytes int64) error
}

// TooLargeError says that an answer is too large for the server.
type TooLargeError struct {
	Most int64 // bytes that an answer may take
}

// Error implements error.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the answer takes more than %d MiB of memory", e.Most>>20)
}

type contextKey struct{}

// With returns a context for a request with room.
func With(ctx context.Context, room Room) context.Context {
	return context.WithValue(ctx, contextKey{}, room)
}

// Take takes so many bytes of the room of ctx. What has none, such as the server's own work, is not limited.
func Take(ctx context.Context, bytes int64) error {
	if room, ok := ctx.Value(contextKey{}).(Room); ok {
		return room.Take(bytes)
	}
	return nil
}
