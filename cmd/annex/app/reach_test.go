package app

import (
	"context"
	"errors"
	"testing"
	"time"
)

// The first look at the host comes while it is still being read how the front proxy is known.
func TestAwaitReady(t *testing.T) {
	unread := errors.New("not read")
	for name, tc := range map[string]struct {
		readAt int // the look from which on it is known; 0 for never
		within time.Duration
		want   error
	}{
		"known":           {1, time.Minute, nil},
		"known by and by": {3, time.Minute, nil},
		"never known":     {0, 2 * readyInterval, unread},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), tc.within)
			defer cancel()
			looks := 0
			got := awaitReady(ctx, func() error {
				if looks++; tc.readAt > 0 && looks >= tc.readAt {
					return nil
				}
				return unread
			})
			if !errors.Is(got, tc.want) {
				t.Errorf("got %v after %d looks, want %v", got, looks, tc.want)
			}
		})
	}
}
