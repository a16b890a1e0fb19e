package view

import (
	"context"
	"maps"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// wait returns once the caches hold all that was acknowledged before the call, and a revision that they have reached. A value
// whose compilation begins later misses nothing up to that revision.
func (v *View[T]) wait(ctx context.Context) (uint64, error) {
	if v.config.Fresh == nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.reached++
		return v.reached, nil
	}
	began := v.config.Clock.Now()
	revision, err := v.config.Fresh.Wait(ctx)
	if err != nil {
		return 0, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.reached = max(v.reached, revision)
	if began.After(v.confirmed) {
		v.confirmed = began
	}
	return revision, nil
}

// confirm returns nil when the caches were as new as etcd a short time ago, or are now.
func (v *View[T]) confirm(ctx context.Context) error {
	if v.config.Fresh == nil || v.config.DistrustAfter == 0 {
		return nil
	}
	v.mu.Lock()
	age := v.config.Clock.Since(v.confirmed)
	background := age >= v.config.ConfirmAfter && age < v.config.DistrustAfter && !v.confirming
	v.confirming = v.confirming || background
	v.mu.Unlock()
	if background {
		go func() {
			// If it fails, a Get waits for a confirmation once DistrustAfter is over, and gets the error.
			_, _ = v.wait(context.WithoutCancel(ctx))
			v.mu.Lock()
			defer v.mu.Unlock()
			v.confirming = false
		}()
	}
	if age < v.config.DistrustAfter {
		return nil
	}
	_, err := v.wait(ctx)
	return err
}

// renew notes of the value of cluster, kept or being compiled, that it misses nothing up to revision, which the caches have reached,
// if nothing that it was compiled from was written since.
func (v *View[T]) renew(cluster logicalcluster.Name, revision uint64) {
	if v.config.Fresh == nil {
		return
	}
	for range attempts { // a value that is being compiled may be kept meanwhile
		v.mu.Lock()
		at, reads := v.newest(cluster)
		if at == nil || *at >= revision {
			v.mu.Unlock()
			return
		}
		since, read := *at, maps.Clone(reads) // what is read from now on is as new as revision
		v.mu.Unlock()
		if !v.unchanged(cluster, read, since, revision) {
			return
		}
		v.mu.Lock()
		same, _ := v.newest(cluster)
		if same == at {
			*at = max(*at, revision)
		}
		v.mu.Unlock()
		if same == at {
			return
		}
	}
}

// newest returns where it is noted of which revision the value of cluster, kept or being compiled, misses nothing, and what it has
// read of other clusters; nil if there is none. The lock is held.
func (v *View[T]) newest(cluster logicalcluster.Name) (at *uint64, reads map[object]struct{}) {
	if e := v.kept.get(cluster); e != nil {
		return &e.at, e.reads
	}
	if s := v.slots[cluster]; s != nil {
		return &s.running.at, s.running.reads
	}
	return nil, nil
}

// unchanged reports whether nothing was written between two revisions in cluster, and in the clusters of objects in reads.
func (v *View[T]) unchanged(cluster logicalcluster.Name, reads map[object]struct{}, since, until uint64) bool {
	if !v.config.Fresh.Unchanged(cluster, since, until) {
		return false
	}
	for read := range reads {
		if !v.config.Fresh.Unchanged(read.key.Cluster, since, until) {
			return false
		}
	}
	return true
}
