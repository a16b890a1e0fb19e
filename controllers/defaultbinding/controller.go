package defaultbinding

import (
	"context"
	"sync"
	"time"

	"k8s.io/utils/clock"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// Name is the name of the controller.
const Name = "defaultbinding"

const workers = 4

var (
	apiBindings     = apisv1alpha2.Resource("apibindings")
	apiExports      = apisv1alpha2.Resource("apiexports")
	logicalClusters = corev1alpha1.Resource("logicalclusters")
	workspaces      = tenancyv1alpha1.Resource("workspaces")
	workspaceTypes  = tenancyv1alpha1.Resource("workspacetypes")
)

// Config contains the dependencies of the controller.
type Config struct {
	multicluster.Config
	// Clock is the real clock if nil.
	Clock clock.PassiveClock
}

type reconciler struct {
	Config
	known known
	// dirty has a value when all workspaces have to be looked at.
	dirty chan struct{}
	// queued are the workspaces that a look has queued.
	queued queued
}

func newReconciler(c Config) *reconciler {
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	return &reconciler{Config: c, dirty: make(chan struct{}, 1)}
}

// Specs returns the controllers of this package.
func Specs(c multicluster.Config) []multicluster.Spec {
	r := newReconciler(Config{Config: c})
	return []multicluster.Spec{{
		Name:    Name,
		Workers: workers,
		Watches: []multicluster.Watch{
			{Resource: workspaceTypes, Keys: r.noteType},
			{Resource: apiBindings, Keys: r.keysOfBinding},
			{Resource: logicalClusters, Keys: r.keysOfCluster},
		},
		Feeds:     []func(context.Context, func(client.Key, time.Duration)){r.feed},
		Reconcile: r.reconcile,
	}}
}

// queued are keys that wait. It is safe for concurrent use.
type queued struct {
	mu   sync.Mutex
	keys map[client.Key]struct{}
}

// add notes that key waits; false if too many do.
func (q *queued) add(key client.Key) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.keys) >= few {
		return false
	}
	if q.keys == nil {
		q.keys = map[client.Key]struct{}{}
	}
	q.keys[key] = struct{}{}
	return true
}

// done notes that key waits no more.
func (q *queued) done(key client.Key) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.keys, key)
}
