package multicluster

import (
	"testing"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

func TestUnderway(t *testing.T) {
	u := Underway[int]{Most: 3}
	a, other, b, c, d := client.Key{Cluster: "a", Name: "x"}, client.Key{Cluster: "a", Name: "y"}, client.Key{Cluster: "b", Name: "x"}, client.Key{Cluster: "c", Name: "x"}, client.Key{Cluster: "d", Name: "x"}
	u.End(a) // of what was never there
	for _, step := range []struct {
		key    client.Key
		tenant logicalcluster.Path
		want   bool
	}{{a, "one", true}, {a, "one", false}, {other, "one", false}, {b, "one", true}, {c, "one", false}, {c, "two", true}, {d, "three", false}} {
		if got := u.Begin(step.key, step.tenant, 1); got != step.want {
			t.Errorf("%s begins: %t, want %t", step.key, got, step.want)
		}
	}
	if work, ok := u.Of(a); work != 1 || !ok {
		t.Errorf("the work of %s is %d, %t", a, work, ok)
	}
	u.End(a)
	if _, ok := u.Of(a); ok {
		t.Errorf("%s has ended", a)
	}
	if !u.Begin(d, "one", 1) {
		t.Errorf("there is room for %s", d)
	}
}
