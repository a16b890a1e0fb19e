package raw

import (
	"strings"
	"testing"
)

func TestLists_AreBounded(t *testing.T) {
	of := func(size int) []Object { return []Object{{envelope: strings.Repeat("x", size)}} }
	s := NewLists(3000)
	s.put("a", 1, of(1000))
	s.put("b", 1, of(1000))
	if s.get("a", 1) == nil || s.get("a", 2) != nil {
		t.Error("a is held at revision 1 only")
	}
	s.put("c", 1, of(1000)) // b was read longest ago
	if s.get("a", 1) == nil || s.get("b", 1) != nil || s.get("c", 1) == nil {
		t.Error("want a and c to be held, and not b")
	}
	if large := s.put("d", 1, of(4000)); len(large.items) != 1 || s.get("d", 1) != nil || s.get("a", 1) == nil {
		t.Error("what is too large is held, or has displaced others")
	}
	s.drop(s.get("a", 1))
	s.drop(s.get("c", 1))
	if bytes, limit := s.Bytes(); bytes != 0 || limit != 3000 {
		t.Errorf("nothing takes %d bytes of %d", bytes, limit)
	}
	few := Lists{most: 1}
	few.put("a", 1, of(4000))
	few.put("b", 1, of(4000))
	if few.get("a", 1) != nil || few.get("b", 1) == nil {
		t.Error("want the last one to be held")
	}
}
