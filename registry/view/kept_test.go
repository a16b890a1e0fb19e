package view

import (
	"slices"
	"testing"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

func TestKept_IsBoundedInBytes(t *testing.T) {
	const capacity = 10*entryBytes + 1000
	type value struct{ bytes int64 }
	k := newKept[*value](capacity, nil)
	put := func(cluster logicalcluster.Name, v *value) {
		k.put(&entry[*value]{cluster: cluster, value: v}, v.bytes)
		if k.bytes > capacity {
			t.Errorf("%d bytes are kept", k.bytes)
		}
	}
	has := func(want ...logicalcluster.Name) {
		t.Helper()
		var got []logicalcluster.Name
		for cluster := range k.entries {
			got = append(got, cluster)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("kept are %q, want %q", got, want)
		}
	}
	put("a", &value{300})
	put("b", &value{300})
	put("c", &value{300})
	has("a", "b", "c")
	k.get("a")
	put("d", &value{capacity - 2*entryBytes - 400})
	has("a", "d")
	put("d", &value{capacity})
	has("a")
	put("a", &value{capacity - entryBytes})
	has("a")

	k.clear()
	shared := &value{900}
	for _, cluster := range []logicalcluster.Name{"a", "b", "c", "d"} {
		put(cluster, shared)
	}
	has("a", "b", "c", "d")
	if want := int64(4*entryBytes + 900); k.bytes != want {
		t.Errorf("four clusters with one value take %d bytes, want %d", k.bytes, want)
	}
	for _, cluster := range []logicalcluster.Name{"a", "b", "c"} {
		k.remove(cluster)
	}
	if want := int64(entryBytes + 900); k.bytes != want {
		t.Errorf("the last one takes %d bytes, want %d", k.bytes, want)
	}
	k.remove("d")
	if k.bytes != 0 || len(k.values) != 0 || k.order.Len() != 0 {
		t.Errorf("%d bytes, %d values and %d entries stay", k.bytes, len(k.values), k.order.Len())
	}
}
