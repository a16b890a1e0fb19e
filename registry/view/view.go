package view

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/lasting"
	"github.com/annex-dev/annex/registry/nice"
)

// attempts is how often a value that events overtake is compiled before it is handed out without being kept.
const attempts = 3

// Fresh knows how far the watch caches of all that is followed are.
type Fresh interface {
	// Wait waits until they hold every write acknowledged before the call, and returns a revision that they have reached.
	Wait(ctx context.Context) (revision uint64, err error)
	// Unchanged reports whether nothing was written in cluster after revision since and up to until, which Wait has returned. It
	// is false if that is not known.
	Unchanged(cluster logicalcluster.Name, since, until uint64) bool
}

// Config says what a View is made of. Fields that do not say what their zero value means are required.
type Config[T comparable] struct {
	// Reader is what values are compiled from and whose watches are followed. It may be a little behind.
	Reader client.Reader
	// Fresh waits for Reader; nil says that Reader is never behind.
	Fresh Fresh
	// Resources are followed. Compile may read no others.
	Resources []schema.GroupResource
	// Compile returns the value of cluster, which must not change afterwards. It reads lists of that cluster, and any object
	// by key, from the given reader, and is called by many goroutines.
	Compile func(ctx context.Context, from client.Reader, cluster logicalcluster.Name) (T, error)
	// Timeout ends a compilation whose reads hang. It is not bound to the request that began it, since others wait too.
	Timeout time.Duration
	// Size returns how many bytes are freed when the last cluster with this value is dropped.
	Size func(T) int64
	// Shared returns the part of a value that Size is about, such that it is equal by == for clusters that share it. Own returns how
	// many bytes the rest takes, which each cluster has for itself. Nil if values are shared as a whole.
	Shared func(T) any
	Own    func(T) int64
	// Capacity bounds what is kept, in bytes. A value that clusters share, equal by ==, counts once.
	Capacity int64
	// Sparse says that the value of a cluster without any object of Resources is the zero value, and most clusters have none. Get then
	// compiles and keeps nothing for such a cluster. For that, the View counts the objects of the other clusters.
	Sparse bool
	// Changed is called with a cluster after each event of an object in it, and after each event that dropped its kept or running
	// value. It is called with the empty name when any cluster may have changed. The value has been dropped by then. A cluster
	// without a kept or running value is not reported for objects of other clusters. Changed must not block. Nil for none.
	Changed func(cluster logicalcluster.Name)
	// ConfirmAfter and DistrustAfter bound how long values are used while watches deliver nothing. ConfirmAfter the last
	// confirmation by Fresh, a Get starts another one in the background. DistrustAfter it, a Get waits for one first. If
	// DistrustAfter is zero, values are used as long as the watches are in step.
	ConfirmAfter, DistrustAfter time.Duration
	// Clock measures these; nil for the real one.
	Clock clock.PassiveClock
}

// View compiles and keeps one value for each cluster in use. It is safe for concurrent use.
type View[T comparable] struct {
	config Config[T]

	mu    sync.Mutex
	kept  kept[T]
	slots map[logicalcluster.Name]*slot[T]
	// inStep says which watches are between Synced and Reset.
	inStep map[schema.GroupResource]bool
	// counts are the objects of each cluster, if the View is sparse.
	counts counts
	// reached is the highest revision that the caches are known to have reached. Without Fresh it counts calls of Now.
	reached uint64
	// confirmed is when the caches were last known to be as new as etcd.
	confirmed  time.Time
	confirming bool
}

// slot holds what is compiled for a cluster, and what is compiled as soon as that has ended or been overtaken: a call that
// needs more than the running one has read waits for the next.
type slot[T comparable] struct{ running, next *flight[T] }

// flight is one value being compiled, for which several calls may wait.
type flight[T comparable] struct {
	begin chan struct{} // closed when it becomes the running one
	done  chan struct{} // closed when value and err are set
	value T
	err   error

	// Guarded by View.mu: a revision of which the value misses nothing, and the objects of other clusters read so far.
	at    uint64
	reads map[object]struct{}
}

// New returns a view. It answers at once, and keeps values as soon as Run is in step.
func New[T comparable](config Config[T]) *View[T] {
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	return &View[T]{
		config: config,
		kept:   newKept(config.Capacity, config.Shared),
		slots:  map[logicalcluster.Name]*slot[T]{},
		inStep: map[schema.GroupResource]bool{},
		counts: counts{},
	}
}

// Bytes returns about how many bytes are kept, and how many may be.
func (v *View[T]) Bytes() (bytes, limit int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.kept.bytes, v.kept.capacity
}

// Get returns the value of cluster as the caches have it.
func (v *View[T]) Get(ctx context.Context, cluster logicalcluster.Name) (T, error) {
	ctx, end := lasting.Ending(ctx)
	defer end()
	if err := v.confirm(ctx); err != nil {
		var none T
		return none, err
	}
	if v.config.Sparse && v.empty(cluster) {
		var none T
		return none, nil
	}
	return v.atLeast(ctx, cluster, 0)
}

// Now returns a value of cluster that misses nothing that was acknowledged before the call. A value is compiled anew only
// when something that it was compiled from may have been written since.
func (v *View[T]) Now(ctx context.Context, cluster logicalcluster.Name) (T, error) {
	revision, err := v.Wait(ctx)
	if err != nil {
		var none T
		return none, err
	}
	return v.At(ctx, cluster, revision)
}

// Wait returns a revision for At. A value of that revision misses nothing that was acknowledged before the call.
func (v *View[T]) Wait(ctx context.Context) (uint64, error) {
	ctx, end := lasting.Ending(ctx)
	defer end()
	return v.wait(ctx)
}

// At returns a value of cluster as of revision, which is one of Wait, or later. Whoever needs the values of several clusters waits once.
func (v *View[T]) At(ctx context.Context, cluster logicalcluster.Name, revision uint64) (T, error) {
	ctx, end := lasting.Ending(ctx)
	defer end()
	v.renew(cluster, revision)
	return v.atLeast(ctx, cluster, revision)
}

// atLeast returns the value of cluster as of revision, which the caches have reached, or later.
func (v *View[T]) atLeast(ctx context.Context, cluster logicalcluster.Name, revision uint64) (T, error) {
	var none T
	if cluster == "" {
		return none, errors.New("no cluster is given")
	}
	v.mu.Lock()
	if e := v.kept.get(cluster); e != nil && e.at >= revision {
		v.mu.Unlock()
		return e.value, nil
	}
	f := v.join(ctx, cluster, revision)
	v.mu.Unlock()
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

// join returns the compilation to wait for; the lock is held.
func (v *View[T]) join(ctx context.Context, cluster logicalcluster.Name, revision uint64) *flight[T] {
	s := v.slots[cluster]
	if s == nil {
		s = &slot[T]{}
		v.slots[cluster] = s
	}
	if s.running != nil && s.running.at >= revision {
		return s.running
	}
	if s.next == nil {
		s.next = &flight[T]{begin: make(chan struct{}), done: make(chan struct{})}
		// Others may be waiting for it by the time this request is canceled.
		go v.fly(context.WithoutCancel(ctx), cluster, s.next)
	}
	f := s.next
	if s.running == nil {
		v.advance(cluster)
	}
	return f
}

// advance puts the next compilation of cluster, if there is one, in the place of the running one; the lock is held.
func (v *View[T]) advance(cluster logicalcluster.Name) {
	s := v.slots[cluster]
	if s == nil {
		return
	}
	s.running, s.next = s.next, nil
	if s.running == nil {
		delete(v.slots, cluster)
		return
	}
	s.running.at = v.reached
	close(s.running.begin)
}

// fly compiles the value of f when it is its turn. It is the running one of its cluster until an event overtakes it.
func (v *View[T]) fly(ctx context.Context, cluster logicalcluster.Name, f *flight[T]) {
	defer close(f.done)
	<-f.begin
	ctx, cancel := context.WithTimeout(ctx, v.config.Timeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		landed := false
		nice.Run(ctx, func(ctx context.Context) {
			f.value, f.err = v.config.Compile(ctx, reader[T]{view: v, flight: f, cluster: cluster}, cluster)
			landed = v.land(cluster, f)
		})
		if landed || f.err != nil || attempt >= attempts {
			return
		}
		if !v.begin(cluster, f) {
			attempt = attempts - 1 // a newer one is running, so this one is never kept
		}
	}
}

// land reports whether no event has overtaken f, which is kept then.
func (v *View[T]) land(cluster logicalcluster.Name, f *flight[T]) bool {
	var size, own int64
	if f.err == nil {
		size = v.config.Size(f.value)
		if v.config.Own != nil {
			own = v.config.Own(f.value)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if s := v.slots[cluster]; s == nil || s.running != f {
		return false
	}
	if f.err == nil && v.complete() {
		v.kept.put(&entry[T]{cluster: cluster, value: f.value, at: f.at, reads: f.reads, own: own}, size)
	}
	v.advance(cluster)
	return true
}

// begin makes f the running compilation of its cluster again, and reports whether its place was free.
func (v *View[T]) begin(cluster logicalcluster.Name, f *flight[T]) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	f.reads = nil
	if v.slots[cluster] != nil {
		return false
	}
	f.at = v.reached
	v.slots[cluster] = &slot[T]{running: f}
	return true
}
