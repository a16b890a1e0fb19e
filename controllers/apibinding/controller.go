package apibinding

import (
	"context"
	"sync"
	"time"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
	"github.com/annex-dev/annex/controllers/names"
	"github.com/annex-dev/annex/controllers/references"
	"github.com/annex-dev/annex/controllers/rollout"
)

const (
	workers        = 4
	cleanupWorkers = 1
)

var (
	bindings    = names.Bindings
	exports     = apisv1alpha2.Resource("apiexports")
	schemas     = apisv1alpha1.Resource("apiresourceschemas")
	conversions = apisv1alpha1.Resource("apiconversions")
	definitions = names.Definitions
)

// Controller binds. It is safe for concurrent use.
type Controller struct {
	multicluster.Config
	// Gate says which bindings may take the new schemas of an APIExportRollout; nil for none.
	Gate *rollout.Gate
	// users maps an export to the bindings that refer to it; definers maps a definition in system:bound-crds to the bindings that use
	// it.
	users, definers references.Index
	// names says which names are in use in a cluster, and prevents two objects of one cluster from taking a name at the same time.
	names *names.Index
	// using is locked for reading from the time that a binding needs a definition until the definition is written. It is locked for
	// writing while an unused definition is deleted.
	using sync.RWMutex
	// exportsSeen holds what bindings see of exports.
	exportsSeen exportsSeen

	mu sync.Mutex
	// expected contains bindings that FinalBinding returned and that the caller is about to create.
	expected map[client.Key]expectation
	now      func() time.Time
}

// expectation is a binding that may not be stored yet.
type expectation struct {
	binding *apisv1alpha2.APIBinding
	until   time.Time
}

// New returns a controller, which asks index what names are in use. Run its Specs with multicluster.Run.
func New(c multicluster.Config, index *names.Index) *Controller {
	return &Controller{
		Config:   c,
		names:    index,
		expected: map[client.Key]expectation{},
		now:      time.Now,
	}
}

// Specs returns the controllers to run: the one for bindings and the one that cleans up after them.
func (c *Controller) Specs() []multicluster.Spec {
	return []multicluster.Spec{
		{
			Name:    "apibinding",
			Workers: workers,
			Watches: []multicluster.Watch{
				{Resource: bindings, Keys: c.unsettled},
				{Resource: exports, Keys: c.forExport, Restarted: c.exportsSeen.forget},
				{Resource: schemas, Keys: c.forSchema},
				{Resource: definitions, Keys: c.forDefinition},
			},
			Feeds:     []func(context.Context, func(client.Key, time.Duration)){c.names.Feed(bindings), c.Gate.Feed},
			Reconcile: c.reconcile,
		},
		{
			Name:    "boundcrd",
			Workers: cleanupWorkers,
			Watches: []multicluster.Watch{
				{Resource: definitions, Keys: onlyBound},
				{Resource: bindings, Keys: c.released},
			},
			Reconcile: c.cleanUp,
		},
	}
}
