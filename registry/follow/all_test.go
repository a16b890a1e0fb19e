package follow

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/client"
)

// watches are what a reader does for each resource.
type watches map[string]func(ctx context.Context, handle func(client.Event)) error

// reader is watches without anything to read.
type reader struct {
	client.Reader
	watches
}

func (r reader) Watch(ctx context.Context, gr schema.GroupResource, handle func(client.Event)) error {
	return r.watches[gr.Resource](ctx, handle)
}

func TestAll_EndsTogether(t *testing.T) {
	broken := errors.New("no such resource")
	lasting := func(ctx context.Context, handle func(client.Event)) error {
		handle(client.Event{Type: client.Synced})
		<-ctx.Done()
		return ctx.Err()
	}
	for name, tc := range map[string]struct {
		other func(ctx context.Context, handle func(client.Event)) error
		want  string
	}{
		"one cannot be had":         {func(context.Context, func(client.Event)) error { return broken }, "watching other: no such resource"},
		"one ends without a reason": {func(context.Context, func(client.Event)) error { return nil }, "watching other: the watch ended"},
		"the context ends":          {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if tc.other == nil {
				tc.other = func(ctx context.Context, _ func(client.Event)) error { cancel(); return ctx.Err() }
			}
			var mu sync.Mutex
			last := map[string]client.EventType{}
			err := All(ctx, reader{watches: watches{"lasting": lasting, "other": tc.other}},
				[]schema.GroupResource{{Resource: "lasting"}, {Resource: "other"}},
				func(gr schema.GroupResource, event client.Event) {
					mu.Lock()
					defer mu.Unlock()
					last[gr.Resource] = event.Type
				})
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("All() = %v, want %q", err, tc.want)
			}
			if !slices.Equal([]client.EventType{last["lasting"], last["other"]}, []client.EventType{client.Reset, client.Reset}) {
				t.Errorf("the last events are %v", last)
			}
		})
	}
}
