package content

import (
	"context"
	"errors"
	"testing"

	apischema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/client"
)

func TestContent_WatchesHeadsOfAllClusters(t *testing.T) {
	h := newHouse(t)
	h.put("crd/c1/default", "a")
	// It shares a watch cache with widgets.
	if _, err := h.etcd.KV.Put(t.Context(), "/annex/cr/8/example.com/things6/crd/c1/default/other", "{not json"); err != nil {
		t.Fatal(err)
	}
	for name, resource := range map[string]apischema.GroupResource{"one resource": widgets, "all resources": {}} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			events, done := make(chan client.HeadEvent, 100), make(chan error)
			go func() {
				done <- h.Watch(ctx, client.WatchScope{Resource: resource}, func(event client.HeadEvent) { events <- event })
			}()
			source := ""
			// expect returns once an event came that is as it should be; others of the same source must not come before.
			expect := func(want client.EventType, name string) {
				t.Helper()
				for {
					var event client.HeadEvent
					select {
					case event = <-events:
					case <-ctx.Done():
						t.Fatalf("no %s %s came", want, name)
					}
					if event.Head.Name == "a" {
						source = event.Source
					}
					if event.Head.Name != "" && event.Head.Name != "other" && (event.Type != want || event.Head.Name != name) {
						t.Fatalf("got %s %+v, want %s %s", event.Type, event.Head, want, name)
					}
					if resource == widgets && event.Head.Name == "other" {
						t.Fatalf("got %+v of another resource", event.Head)
					}
					if event.Type == want && event.Head.Name == name && (name != "" || event.Source == source) {
						return
					}
				}
			}
			expect(client.Added, "a")
			expect(client.Synced, "")
			h.put("identity/c2/default", "b", "example.com/hold")
			expect(client.Added, "b")
			h.put("identity/c2/default", "b")
			expect(client.Modified, "b")
			if _, err := h.etcd.KV.Delete(ctx, "/annex/cr/8/example.com/widgets/identity/c2/default/b"); err != nil {
				t.Fatal(err)
			}
			expect(client.Deleted, "b")
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("the watch ended with %v", err)
			}
		})
	}
}
