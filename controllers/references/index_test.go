package references

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annex-dev/annex/client"
)

func key(name string) client.Key { return client.Key{Cluster: "c", Name: name} }

func TestIndex(t *testing.T) {
	var index Index
	if got := index.From(key("x")); got != nil {
		t.Errorf("an empty index knows %v", got)
	}
	index.Set(key("a"), key("x"), key("y"))
	index.Set(key("b"), key("x"))
	if diff := cmp.Diff([]client.Key{key("a"), key("b")}, index.From(key("x"))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]client.Key{key("x")}, index.Set(key("a"), key("y"), key("z"))); diff != "" {
		t.Error(diff)
	}
	if got := index.Set(key("a"), key("y"), key("z")); got != nil {
		t.Errorf("setting the same again left %v", got)
	}
	if diff := cmp.Diff([]client.Key{key("b")}, index.From(key("x"))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]client.Key{key("y"), key("z")}, index.Drop(key("a"))); diff != "" {
		t.Error(diff)
	}
	index.Drop(key("b"))
	if len(index.to) != 0 || len(index.from) != 0 || len(index.groups) != 0 {
		t.Errorf("something stays in memory: %v, %v, %v", index.to, index.from, index.groups)
	}
}

func TestIndex_Any(t *testing.T) {
	var index Index
	for n := range 100 {
		index.Set(key(fmt.Sprint(n)), key("x"))
	}
	if got, ok := index.Any(key("x"), func(k client.Key) bool { return k.Name == "99" }); !ok || got != key("99") {
		t.Errorf("Any = %v, %v", got, ok)
	}
	if got, ok := index.Any(key("x"), func(client.Key) bool { return false }); ok {
		t.Errorf("Any found %v", got)
	}
	if _, ok := index.Any(key("y"), func(client.Key) bool { return true }); ok {
		t.Error("Any found something that refers to nothing")
	}
}

// Objects come, change and go at random; what the index says is compared with what was set.
func TestIndex_IsWhatWasSet(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var index Index
	set := map[client.Key][]client.Key{}
	targets := []client.Key{key("x"), key("y"), {Cluster: "d", Name: "x"}, {Cluster: "c", Namespace: "x", Name: "y"}}
	for range 5000 {
		from := key(fmt.Sprint(random.IntN(20)))
		var to []client.Key
		for range random.IntN(4) { // one may be there twice
			to = append(to, targets[random.IntN(len(targets))])
		}
		var want []client.Key
		for _, target := range set[from] {
			if !slices.Contains(to, target) {
				want = append(want, target)
			}
		}
		if diff := cmp.Diff(want, index.Set(from, to...)); diff != "" {
			t.Fatal(diff)
		}
		set[from] = to
		for _, target := range targets {
			users := map[client.Key]bool{}
			for from, to := range set {
				if slices.Contains(to, target) {
					users[from] = true
				}
			}
			got := index.From(target)
			if len(got) != len(users) || index.Len(target) != len(users) {
				t.Fatalf("%v has %v (%d), want %v", target, got, index.Len(target), users)
			}
			for _, from := range got {
				if !users[from] {
					t.Fatalf("%v has %v, want %v", target, got, users)
				}
			}
		}
	}
}
