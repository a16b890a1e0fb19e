package watchcache

import (
	"testing"

	"k8s.io/apimachinery/pkg/fields"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/client-go/util/watchlist"
)

// What the package relies on in stock code, and what must stay so that it is fast.

// cache.go: the marker is a method found by its name.
func TestContract_MarkerIsHonoured(t *testing.T) {
	if !watchlist.DoesClientNotSupportWatchListSemantics(listOnly{}) {
		t.Error("the reflector does not see the marker: caches lose objects of equal names at start")
	}
	if watchlist.DoesClientNotSupportWatchListSemantics(struct{ apistorage.Interface }{}) {
		t.Error("storage without the marker is said to have it: the restart test proves nothing")
	}
}

// select.go: the index value adds nothing that the cacher would have to select by.
func TestContract_PredicateOfIndexedWatchStaysEmpty(t *testing.T) {
	p := Indexed(apistorage.Everything, "c1")
	if !p.Empty() {
		t.Error("a watch without selectors is no longer on the cacher's fast path")
	}
	if v, ok := p.Field.RequiresExactMatch(clusterIndex); !ok || v != "c1" {
		t.Errorf("the index value is %q, %v", v, ok)
	}
	f := Indexed(apistorage.SelectionPredicate{Label: apistorage.Everything.Label, Field: fields.OneTermEqualSelector("metadata.name", "a")}, "c1").Field
	if v, ok := f.DeepCopySelector().RequiresExactMatch(clusterIndex); !ok || v != "c1" {
		t.Errorf("a copy's index value is %q, %v", v, ok)
	}
	if v, ok := f.RequiresExactMatch("metadata.name"); !ok || v != "a" || !f.Matches(fields.Set{"metadata.name": "a"}) || f.Matches(fields.Set{"metadata.name": "b"}) {
		t.Error("the selector below is not asked")
	}
}
