package storage

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s: not so after %s", what, patience)
		}
	}
}

// A tenant who makes and throws away kinds leaves nothing behind, and what others have is still found.
func TestScopes_ThrowAwayKinds(t *testing.T) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	s := widgetStore(t, b)
	waitReady(t, b)
	kept := in(t.Context(), "c1")
	create(t, kept, s, widget("default", "kept", "red"))
	const looked = 256 // kinds, after which a cache looks for those that hold nothing
	throwAway := func(where string) {
		key := "/annex/cr/8/example.com/widgets/" + where + "/default/w"
		if _, err := client.KV.Put(t.Context(), key, `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w","namespace":"default"}}`); err != nil {
			t.Error(err)
		}
		if _, err := client.KV.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
	}
	for round := range 3 {
		var all sync.WaitGroup
		for worker := range 8 {
			all.Go(func() {
				for i := worker; i < looked; i += 8 {
					throwAway(fmt.Sprintf("bucket-%d-%d/c2", round, i))
				}
			})
		}
		all.Wait()
	}
	shard := b.custom[8]
	more := 0
	waitFor(t, "fewer bases than were ever there", func() bool {
		// Another kind, so that a look that came too early is not the last one.
		throwAway(fmt.Sprintf("more-%d/c3", more))
		more++
		return len(shard.Holding("")) < 2*looked
	})
	found, err := b.Heads(kept, HeadScope{Cluster: "c1"})
	if err != nil || len(found) != 1 || found[0].Name != "kept" {
		t.Errorf("c1 holds %v, %v", found, err)
	}
	create(t, WithBucket(in(t.Context(), "c2"), "bucket-0-1"), s, widget("default", "again", "red"))
	if found, err = b.Heads(kept, HeadScope{Cluster: "c2"}); err != nil || len(found) != 1 || found[0].Bucket != "bucket-0-1" {
		t.Errorf("c2 holds %v, %v", found, err)
	}
}
