package storage

import (
	"strings"
	"testing"

	"github.com/annex-dev/annex/apis/core/limits"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

// What is told about a cluster is what its limits count, and nothing of another cluster.
func TestUsage_IsWhatLimitsCount(t *testing.T) {
	b := newTestBackend(t, runEtcd(t), coreCodec(t))
	typed, custom := configMapStore(t, b), widgetStore(t, b)
	waitReady(t, b)
	if got, err := b.Usage(t.Context(), "c1"); err != nil || got != (limits.Amount{}) {
		t.Errorf("an empty cluster: %v, %v", got, err)
	}
	c1, c2 := in(t.Context(), "c1"), in(t.Context(), "c2")
	create(t, c1, custom, widget("default", "a", "red"))
	create(t, WithBucket(c1, "other"), custom, widget("default", "a", strings.Repeat("long", 1000)))
	create(t, c1, typed, configMap("default", "a"))
	create(t, c1, typed, configMap("kube-system", "a"))
	create(t, c2, custom, widget("default", "b", strings.Repeat("large", 10000)))
	got, err := b.Usage(t.Context(), "c1")
	if err != nil {
		t.Fatal(err)
	}
	want, err := b.stored(t.Context(), b.main, "c1")
	if err != nil {
		t.Fatal(err)
	}
	if got != want || got.Objects != 4 || got.Bytes < 4000 || got.Bytes > 10000 {
		t.Errorf("c1 stores %v, and limits count %v", got, want)
	}
	for _, bad := range []logicalcluster.Name{"", "c1/default"} {
		if got, err := b.Usage(t.Context(), bad); err == nil {
			t.Errorf("%q stores %v", bad, got)
		}
	}
}
