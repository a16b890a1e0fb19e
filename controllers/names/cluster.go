package names

import (
	"container/list"
	"slices"
	"sync"

	"github.com/annex-dev/annex/apis/apis/naming"
)

// slot is a name that one resource of a group can have. Kinds and list kinds share one space; plurals, singulars and short names
// another.
type slot struct {
	group string
	kind  bool
	name  string
}

// slotsOf returns the slots of all the names, each once.
func slotsOf(all ...naming.Names) []slot {
	var slots []slot
	for _, n := range all {
		add := func(kind bool, names ...string) {
			for _, name := range names {
				if s := (slot{n.Group, kind, name}); name != "" && !slices.Contains(slots, s) {
					slots = append(slots, s)
				}
			}
		}
		add(false, n.Plural, n.Singular)
		add(false, n.ShortNames...)
		add(true, n.Kind, n.ListKind)
	}
	return slots
}

func (r *Record) slots() []slot { return slotsOf(slices.Concat(r.Taken, r.Reserved)...) }

// cluster contains the names in use in one cluster. All but reading is guarded by the mutex of the index.
type cluster struct {
	// reading is locked while the cluster is read. complete is set under this lock, too.
	reading  sync.Mutex
	complete bool
	place    *list.Element

	records map[Holder]*Record
	holders map[slot][]*Record
	// names is how many entries holders has, and clusterNames.
	names int
	// wanted and waiting say who waits for a name of somebody else.
	wanted  map[Holder][]slot
	waiting map[slot][]Holder
	// any contains holders of which nobody knows yet which names they wait for.
	any map[Holder]struct{}
	// gone contains, until the cluster is complete, the revisions of what was deleted meanwhile. released says that names were.
	gone     map[Holder]uint64
	released bool
}

func newCluster() *cluster {
	return &cluster{
		records: map[Holder]*Record{}, holders: map[slot][]*Record{}, wanted: map[Holder][]slot{}, waiting: map[slot][]Holder{},
		any: map[Holder]struct{}{}, gone: map[Holder]uint64{}, names: clusterNames,
	}
}

// fill takes in what was read, unless an event was newer, and reports whether an event may have released a name meanwhile.
func (c *cluster) fill(records []*Record, undecided []Holder) (released bool) {
	for _, r := range records {
		if known := c.records[r.Holder]; (known == nil || known.revision < r.revision) && c.gone[r.Holder] < r.revision {
			c.put(r)
		}
	}
	for _, holder := range undecided {
		c.any[holder] = struct{}{}
	}
	c.complete, c.gone = true, nil
	return c.released
}

// put replaces the record of a holder.
func (c *cluster) put(r *Record) {
	c.remove(r.Holder)
	c.records[r.Holder] = r
	for _, s := range r.slots() {
		c.holders[s] = append(c.holders[s], r)
		c.names++
	}
}

// isEmpty reports whether nobody has a name, or waits for one.
func (c *cluster) isEmpty() bool { return len(c.records)+len(c.wanted)+len(c.any) == 0 }

func (c *cluster) remove(holder Holder) {
	r := c.records[holder]
	if r == nil {
		return
	}
	delete(c.records, holder)
	for _, s := range r.slots() {
		c.names--
		if rest := without(c.holders[s], r); len(rest) > 0 {
			c.holders[s] = rest
		} else {
			delete(c.holders, s)
		}
	}
}

// wait replaces what holder waits for.
func (c *cluster) wait(holder Holder, wanted []naming.Names) {
	delete(c.any, holder)
	for _, s := range c.wanted[holder] {
		if rest := without(c.waiting[s], holder); len(rest) > 0 {
			c.waiting[s] = rest
		} else {
			delete(c.waiting, s)
		}
	}
	delete(c.wanted, holder)
	slots := slotsOf(wanted...)
	if len(slots) == 0 {
		return
	}
	c.wanted[holder] = slots
	for _, s := range slots {
		c.waiting[s] = append(c.waiting[s], holder)
	}
}

// waitingFor returns who waits for one of the slots, each holder once, except those in any.
func (c *cluster) waitingFor(slots []slot) []Holder {
	var found []Holder
	seen := map[Holder]struct{}{}
	for _, s := range slots {
		for _, holder := range c.waiting[s] {
			if _, again := seen[holder]; !again {
				seen[holder] = struct{}{}
				found = append(found, holder)
			}
		}
	}
	return found
}

// takeUndecided empties any.
func (c *cluster) takeUndecided() []Holder {
	var found []Holder
	for holder := range c.any {
		found = append(found, holder)
	}
	clear(c.any)
	return found
}

func without[T comparable](all []T, one T) []T {
	return slices.DeleteFunc(slices.Clone(all), func(x T) bool { return x == one })
}
