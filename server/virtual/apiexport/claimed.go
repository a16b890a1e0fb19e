package apiexport

import (
	"context"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/annex-dev/annex/apis/apis/claims"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/storage/filter"
	"github.com/annex-dev/annex/registry/storage/head"
)

// claimed shows, over all consumers, the objects that accepted claims select. It always answers by what is accepted now.
type claimed struct {
	Activity
	answers *answers
	// of is the audience of the export; nil if there is none.
	of *audience
	// keys are the claims of the export that are asked for, and verb what the request does.
	keys []claims.Key
	verb string
	// own is the label of the bindings to the export itself, which always show; empty for other resources.
	own string

	turns   chan struct{}
	mu      sync.Mutex
	pending map[logicalcluster.Name]struct{}
}

var _ filter.Turning = &claimed{}

// claimedBy returns a filter for a request that does verb. It learns of changes until ctx ends if the request is a watch.
func (e *Endpoint) claimedBy(ctx context.Context, export client.Key, keys []claims.Key, verb, own string) *claimed {
	f := &claimed{
		Activity: e.Activity, answers: e.answers, keys: keys, verb: verb, own: own,
		turns: make(chan struct{}, 1), pending: map[logicalcluster.Name]struct{}{},
	}
	a := e.answers
	a.mu.Lock()
	defer a.mu.Unlock()
	if verb != "watch" {
		f.of = a.current.exports[export]
		return f
	}
	f.of = a.current.of(export)
	f.of.watches[f] = struct{}{}
	context.AfterFunc(ctx, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(f.of.watches, f)
		a.drop(f.of)
	})
	return f
}

// Shows implements filter.Filter.
func (f *claimed) Shows(h head.Head) bool {
	if f.Inactive(h.Cluster) {
		return false
	}
	if f.own != "" && h.Labels[apisv1alpha2.InternalAPIBindingExportLabelKey] == f.own {
		return true
	}
	if f.of == nil {
		return false
	}
	f.answers.mu.RLock()
	acceptances := f.of.consumers[h.Cluster]
	f.answers.mu.RUnlock()
	for _, a := range acceptances {
		for i := range a.claims {
			c := &a.claims[i]
			if slices.Contains(f.keys, c.key) && claims.Allows(c.verbs, f.verb) && c.selector.Matches(labels.Set(h.Labels)) {
				return true
			}
		}
	}
	return false
}

// turn says that what is accepted in a cluster has changed.
func (f *claimed) turn(cluster logicalcluster.Name) {
	f.mu.Lock()
	f.pending[cluster] = struct{}{}
	f.mu.Unlock()
	select {
	case f.turns <- struct{}{}:
	default:
	}
}

// Turns implements filter.Turning.
func (f *claimed) Turns() <-chan struct{} { return f.turns }

// Turned implements filter.Turning.
func (f *claimed) Turned() []logicalcluster.Name {
	f.mu.Lock()
	defer f.mu.Unlock()
	clusters := make([]logicalcluster.Name, 0, len(f.pending))
	for cluster := range f.pending {
		clusters = append(clusters, cluster)
	}
	clear(f.pending)
	return clusters
}

// selected shows, in one consumer, the objects that accepted claims select.
type selected struct {
	selectors []labels.Selector
	own       string
}

var _ filter.Filter = &selected{}

// Shows implements filter.Filter.
func (f *selected) Shows(h head.Head) bool {
	if f.own != "" && h.Labels[apisv1alpha2.InternalAPIBindingExportLabelKey] == f.own {
		return true
	}
	return slices.ContainsFunc(f.selectors, func(s labels.Selector) bool { return s.Matches(labels.Set(h.Labels)) })
}
