package room

import (
	"sync"

	"github.com/annex-dev/annex/registry/nice"
)

const (
	// NodeBytes is about the least that a node of a schema has, as it is stored.
	NodeBytes = 32
	// largeBytes is from how many stored bytes on a schema is large.
	largeBytes = 1000 * NodeBytes
)

// processor is what work on large schemas uses. There is one for all of them, so that the others are free for other work, and so is the
// memory that a second piece of work would take at the same time: most of it is copies of all nodes.
var processor sync.Mutex

// Large does work on schemas of so many stored bytes. Work on large ones is done one piece at a time in the whole process, by whoever has
// waited the longest. A tenant that is not alone has few requests that wait, since they keep their seats (server/fairness). Work must
// compute and nothing else: it must not call Large, nor wait for anybody who may be waiting here. It gives way to other work
// (registry/nice).
func Large(bytes int, work func()) {
	if bytes >= largeBytes {
		processor.Lock()
		defer processor.Unlock()
		nice.Do(work)
		return
	}
	work()
}
