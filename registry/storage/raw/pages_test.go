package raw

import (
	"fmt"
	"strings"
	"testing"

	"github.com/annex-dev/annex/registry/lru"
)

func TestLists_AreBounded(t *testing.T) {
	of := func(cluster string, size int) []Object {
		key := fmt.Sprintf("/core/configmaps/%s/default/a", cluster)
		return []Object{{envelope: key + "\x00" + strings.Repeat("x", size), keySize: uint32(len(key))}}
	}
	at := func(key string, revision int64) listKey { return listKey{key, revision} }
	const limit = 8 * (1000 + lru.EntryBytes)
	s := NewLists(limit)
	s.put(at("a", 1), of("one", 1000))
	if s.get(at("a", 1)) == nil || s.get(at("a", 2)) != nil || s.get(at("b", 1)) != nil {
		t.Error("want a to be held, at revision 1 only")
	}
	// Whoever reads many lists displaces no others.
	for i := range int64(50) {
		s.put(at("many", i), of("many", 1000))
	}
	if s.get(at("a", 1)) == nil || s.get(at("many", 49)) == nil || s.get(at("many", 0)) != nil {
		t.Error("want the list of another cluster and the latest one to be held")
	}
	if s.put(at("large", 1), of("large", limit)); s.get(at("large", 1)) != nil || s.get(at("a", 1)) == nil {
		t.Error("what is too large is held, or has displaced others")
	}
	s.Drop("many")
	s.Drop("one")
	if bytes, most := s.Bytes(); bytes != 0 || most != limit {
		t.Errorf("nothing takes %d bytes of %d", bytes, most)
	}
	few := newFewLists(2)
	for i := range int64(3) {
		few.put(at("all", i), of("any", limit))
	}
	if few.get(at("all", 0)) != nil || few.get(at("all", 1)) == nil || few.get(at("all", 2)) == nil {
		t.Error("want the last two to be held")
	}
}
