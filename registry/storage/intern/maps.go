package intern

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

const (
	// internGeneration is how many sets one generation of the table holds, at most about 0.5 KB each.
	internGeneration = 2048
	// internBytes is how long the ids of one generation are together. Tenants choose what is in them.
	internBytes = 8 << 20
	// internMaxEntries is above the number of fields by which most kinds can be selected; bigger sets seldom repeat.
	internMaxEntries = 4
)

// recent keeps two generations of what was asked for lately, so that it forgets what is not used. What it returns is
// shared: never change it. Safe for many goroutines.
type recent[V any] struct {
	lock       sync.Mutex
	young, old map[string]V
	bytes      int // of the ids in young
}

func newRecent[V any]() *recent[V] { return &recent[V]{young: map[string]V{}} }

// of returns what was kept for an id, or keeps v for it.
func (r *recent[V]) of(id string, v V) V {
	r.lock.Lock()
	defer r.lock.Unlock()
	if known, ok := r.young[id]; ok {
		return known
	}
	if known, ok := r.old[id]; ok {
		v = known
	}
	if len(r.young) >= internGeneration || r.bytes+len(id) > internBytes {
		r.old, r.young, r.bytes = r.young, map[string]V{}, 0
	}
	r.young[id] = v
	r.bytes += len(id)
	return v
}

// Maps shares equal small maps. Every map costs its holder some 350 bytes, and objects of the same name stand in
// thousands of clusters.
type Maps struct{ *recent[map[string]string] }

// NewMaps returns an empty table.
func NewMaps() *Maps { return &Maps{newRecent[map[string]string]()} }

// Intern returns a map equal to m, which it may keep; nil when m is empty.
func (t *Maps) Intern(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	if len(m) > internMaxEntries {
		return m
	}
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		b.WriteString(k)
		b.WriteByte(0)
		b.WriteString(m[k])
		b.WriteByte(0)
	}
	return t.of(b.String(), m)
}
