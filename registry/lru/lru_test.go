package lru

import (
	"fmt"
	"slices"
	"testing"
)

func newCache(entries int64) (*Cache[string, string], *[]string) {
	gone := &[]string{}
	return New[string](entries*(100+EntryBytes), func(v string) { *gone = append(*gone, v) }), gone
}

func (c *Cache[K, V]) check(t *testing.T) {
	t.Helper()
	var bytes int64
	owned := map[string]int64{}
	for e := c.order.Front(); e != nil; e = e.Next() {
		entry := e.Value.(*entry[K, V])
		bytes += entry.bytes
		owned[entry.owner] += entry.bytes
	}
	if bytes != c.bytes || bytes > c.limit || len(c.entries) != c.order.Len() || len(owned) != len(c.owners) {
		t.Errorf("%d bytes counted as %d of %d, %d entries of %d, %d owners of %d", bytes, c.bytes, c.limit, c.order.Len(), len(c.entries), len(owned), len(c.owners))
	}
	for name, o := range c.owners {
		if o.bytes != owned[name] || o.bytes > c.limit/share && o.order.Len() > 1 {
			t.Errorf("%s: %d bytes counted as %d", name, owned[name], o.bytes)
		}
	}
}

func TestCache_TheLeastRecentlyUsedGoesFirst(t *testing.T) {
	c, gone := newCache(4)
	for _, name := range []string{"a", "b", "c", "d"} {
		c.Put(name, name, 100, name)
	}
	if _, ok := c.Get("a"); !ok {
		t.Error("a is not kept")
	}
	c.Put("e", "e", 100, "e")
	c.Put("f", "f", 101, "f") // one byte more than c took
	if !slices.Equal(*gone, []string{"b", "c", "d"}) || c.Len() != 3 {
		t.Errorf("gone: %v", *gone)
	}
	c.Put("e", "new", 100, "x")
	if v, _ := c.Get("e"); v != "new" || (*gone)[3] != "e" {
		t.Errorf("%s is kept, gone: %v", v, *gone)
	}
	c.Put("huge", "huge", 4*(100+EntryBytes), "huge")
	if _, ok := c.Get("huge"); ok || (*gone)[4] != "huge" || c.Len() != 3 {
		t.Error("what takes more than the cache is kept")
	}
	c.check(t)
	c.Clear()
	if bytes, _ := c.Bytes(); bytes != 0 || len(*gone) != 8 || len(c.owners) != 0 {
		t.Errorf("%d bytes, gone: %v", bytes, *gone)
	}
}

func TestCache_Drop(t *testing.T) {
	c, gone := newCache(8)
	for _, name := range []string{"a1", "b1", "a2"} {
		c.Put(name, name, 100, name[:1])
	}
	c.Drop("a")
	c.Drop("nobody")
	if _, ok := c.Get("b1"); !ok || c.Len() != 1 || !slices.Equal(*gone, []string{"a1", "a2"}) {
		t.Errorf("%d are kept, gone: %v", c.Len(), *gone)
	}
	c.check(t)
}

func TestCache_AnOwnerEvictsItsOwn(t *testing.T) {
	c, _ := newCache(16)
	for i := range 8 {
		c.Put(fmt.Sprint("quiet", i), "", 100, fmt.Sprint("quiet", i))
	}
	for i := range 1000 {
		c.Put(fmt.Sprint("busy", i), "", 100, "busy")
		c.check(t)
	}
	for i := range 8 {
		if _, ok := c.Get(fmt.Sprint("quiet", i)); !ok {
			t.Errorf("quiet%d was evicted", i)
		}
	}
	if c.Len() != 8+4 {
		t.Errorf("%d are kept, want a quarter for the busy one", c.Len()-8)
	}
	// One big value may take more than the share.
	c.Put("big", "", 2000, "busy")
	if _, ok := c.Get("big"); !ok || c.Len() != 8+1 {
		t.Errorf("%d are kept", c.Len())
	}
	c.check(t)
}

func TestCache_WhatNobodyUsesGoes(t *testing.T) {
	c, gone := newCache(4)
	for _, name := range []string{"a", "b", "c"} {
		c.Put(name, name, 100, name)
	}
	c.DropIdle()
	if c.Len() != 3 {
		t.Fatalf("%q went at once", *gone)
	}
	c.Get("b")
	c.Put("d", "d", 100, "d")
	c.DropIdle()
	c.check(t)
	if want := []string{"a", "c"}; !slices.Equal(*gone, want) {
		t.Errorf("%q went, want %q", *gone, want)
	}
	c.DropIdle()
	c.check(t)
	if c.Len() != 0 {
		t.Errorf("%d are kept that nobody has used", c.Len())
	}
}
