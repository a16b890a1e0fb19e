package rendered

import (
	"fmt"
	"slices"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Whoever reads a range in parts, each from behind the last key of the one before, gets what there is in the whole range.
func TestKV_RangesInParts(t *testing.T) {
	s, c := rendering(t)
	ctx := t.Context()
	for i := range 7 {
		lc := fmt.Sprintf(`{"metadata":{"name":"cluster","uid":"%d","creationTimestamp":"2026-01-01T00:00:00Z","annotations":{}}}`, i)
		if err := s.make(ctx, lc, logicalcluster.Name(fmt.Sprintf("c%d", i)), Made{Values: []string{"a", "b"}}); err != nil {
			t.Fatal(err)
		}
	}
	root := prefix + "/core/namespaces/"
	// In the order of keys, a system cluster is before a cluster, or after it.
	for _, key := range []string{"c0/more", "c3/a", "system:admin/default", "system:admin/more"} {
		if err := put(ctx, c, root+key, `{"metadata":{}}`); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.make(ctx, `{"metadata":{"name":"cluster","uid":"z","creationTimestamp":"2026-01-01T00:00:00Z","annotations":{}}}`, "z", Made{Values: []string{"a", "b"}}); err != nil {
		t.Fatal(err)
	}
	end := clientv3.GetPrefixRangeEnd(root)
	keys := func(limit int64) (all []string) {
		for from := root; ; {
			resp, err := s.kv.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(limit))
			if err != nil {
				t.Fatal(err)
			}
			for _, kv := range resp.Kvs {
				all = append(all, string(kv.Key))
			}
			if !resp.More {
				return all
			}
			from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
		}
	}
	want := keys(0)
	if len(want) < 8+4 {
		t.Fatalf("only %q", want)
	}
	for limit := int64(1); limit <= int64(len(want)); limit++ {
		if got := keys(limit); !slices.Equal(got, want) {
			t.Errorf("in parts of %d: %q, want %q", limit, got, want)
		}
	}
}
