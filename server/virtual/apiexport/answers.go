package apiexport

import (
	"context"
	"slices"
	"strconv"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/annex-dev/annex/apis/apis/claims"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// answers are the claims that consumers accept, by export. They follow the APIBindings of all clusters, and hold nothing of a binding that
// accepts no claim. They are for requests over all consumers; a request for one consumer reads its bindings.
type answers struct {
	mu      sync.RWMutex
	current *answered
	next    *answered // what is being read anew; nil if nothing is
	// floor is the revision from before which no watch may go on, whatever its export.
	floor uint64
	// epoch counts how often everything was read anew, after the first time.
	epoch uint64
}

// answered is what was read.
type answered struct {
	bindings map[client.Key]*acceptance
	exports  map[client.Key]*audience
}

// audience is who accepts claims of one export.
type audience struct {
	export    client.Key
	consumers map[logicalcluster.Name][]*acceptance
	// changed is the revision of the last change.
	changed uint64
	watches map[*claimed]struct{}
}

// acceptance is what one binding accepts. It is immutable.
type acceptance struct {
	export client.Key
	claims []accepted
}

// accepted is one accepted claim.
type accepted struct {
	key      claims.Key
	verbs    []string
	selector labels.Selector
}

func newAnswered() *answered {
	return &answered{bindings: map[client.Key]*acceptance{}, exports: map[client.Key]*audience{}}
}

// of returns the audience of an export, which is added if it is missing.
func (a *answered) of(export client.Key) *audience {
	found := a.exports[export]
	if found == nil {
		found = &audience{export: export, consumers: map[logicalcluster.Name][]*acceptance{}, watches: map[*claimed]struct{}{}}
		a.exports[export] = found
	}
	return found
}

// set notes what a binding accepts now, nil for nothing, and returns the audiences that have changed.
func (a *answered) set(key client.Key, now *acceptance, revision uint64) []*audience {
	before := a.bindings[key]
	if before.same(now) {
		return nil
	}
	var changed []*audience
	if before != nil {
		of := a.of(before.export)
		of.consumers[key.Cluster] = slices.DeleteFunc(slices.Clone(of.consumers[key.Cluster]), func(other *acceptance) bool { return other == before })
		if len(of.consumers[key.Cluster]) == 0 {
			delete(of.consumers, key.Cluster)
		}
		delete(a.bindings, key)
		changed = append(changed, of)
	}
	if now != nil {
		of := a.of(now.export)
		of.consumers[key.Cluster] = append(slices.Clone(of.consumers[key.Cluster]), now)
		a.bindings[key] = now
		changed = append(changed, of)
	}
	for _, of := range changed {
		of.changed = max(of.changed, revision)
	}
	return changed
}

func (a *acceptance) same(b *acceptance) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.export == b.export && slices.EqualFunc(a.claims, b.claims, func(x, y accepted) bool {
		return x.key == y.key && slices.Equal(x.verbs, y.verbs) && x.selector.String() == y.selector.String()
	})
}

// acceptanceOf returns what a binding accepts; nil for nothing. A binding that is being deleted still counts: the provider cleans up.
func acceptanceOf(binding *apisv1alpha2.APIBinding) *acceptance {
	reference := binding.Spec.Reference.Export
	if reference == nil || binding.Status.APIExportClusterName == "" {
		return nil
	}
	a := &acceptance{export: client.Key{Cluster: logicalcluster.Name(binding.Status.APIExportClusterName), Name: reference.Name}}
	for i := range binding.Spec.PermissionClaims {
		answer := &binding.Spec.PermissionClaims[i]
		if answer.State != apisv1alpha2.ClaimAccepted {
			continue
		}
		if selector, ok := selectorOf(&answer.Selector); ok {
			a.claims = append(a.claims, accepted{key: claims.KeyOf(&answer.PermissionClaim), verbs: slices.Clone(answer.Verbs), selector: selector})
		}
	}
	if len(a.claims) == 0 {
		return nil
	}
	return a
}

// selectorOf returns the selector of an answer; false if it selects nothing.
func selectorOf(s *apisv1alpha2.PermissionClaimSelector) (labels.Selector, bool) {
	if s.MatchAll {
		return labels.Everything(), true
	}
	if len(s.MatchLabels) == 0 && len(s.MatchExpressions) == 0 {
		return nil, false
	}
	selector, err := metav1.LabelSelectorAsSelector(&s.LabelSelector)
	return selector, err == nil
}

// observe takes note of an event of an APIBinding. revision returns the current revision of etcd.
func (a *answers) observe(ctx context.Context, event client.Event, revision func(context.Context) (uint64, error)) {
	switch event.Type {
	case client.Reset:
		a.mu.Lock()
		a.next = newAnswered()
		a.mu.Unlock()
		return
	case client.Synced:
		// What was withdrawn before left no trace.
		now, err := revision(ctx)
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.next == nil {
			return
		}
		if a.current != nil { // else no watch has gone by them yet
			a.epoch++
		}
		a.current, a.next = a.next, nil
		for _, of := range a.current.exports {
			a.floor = max(a.floor, of.changed)
		}
		if err == nil {
			a.floor = max(a.floor, now)
		}
		return
	}
	binding, ok := event.Object.(*apisv1alpha2.APIBinding)
	if !ok {
		return
	}
	var now *acceptance
	if event.Type != client.Deleted {
		now = acceptanceOf(binding)
	}
	version, _ := strconv.ParseUint(binding.ResourceVersion, 10, 64) // 0 is no version that the server gives
	key := client.KeyOf(binding)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.next != nil {
		a.next.set(key, now, version)
		return
	}
	if a.current == nil {
		return
	}
	for _, of := range a.current.set(key, now, version) {
		for w := range of.watches {
			w.turn(key.Cluster)
		}
		a.drop(of)
	}
}

// drop removes an audience that nobody needs. The caller holds the lock.
func (a *answers) drop(of *audience) {
	if len(of.consumers) == 0 && len(of.watches) == 0 && a.current.exports[of.export] == of {
		a.floor = max(a.floor, of.changed)
		delete(a.current.exports, of.export)
	}
}

// ready reports whether the bindings have been read.
func (a *answers) ready() bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.current != nil
}

// since returns the revision of the last change of what is accepted of an export, and the epoch.
func (a *answers) since(export client.Key) (revision, epoch uint64) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.current != nil {
		if of := a.current.exports[export]; of != nil {
			return max(a.floor, of.changed), a.epoch
		}
	}
	return a.floor, a.epoch
}

// consumers returns up to most clusters that accept the claim, in their order.
func (a *answers) consumers(export client.Key, key claims.Key, most int) []logicalcluster.Name {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.current == nil || a.current.exports[export] == nil {
		return nil
	}
	var found []logicalcluster.Name
	for cluster, all := range a.current.exports[export].consumers {
		if slices.ContainsFunc(all, func(b *acceptance) bool {
			return slices.ContainsFunc(b.claims, func(c accepted) bool { return c.key == key })
		}) {
			found = append(found, cluster)
		}
	}
	slices.Sort(found)
	return found[:min(len(found), most)]
}
