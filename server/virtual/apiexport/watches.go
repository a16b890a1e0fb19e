package apiexport

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/server/virtual"
)

// watches knows the open watches by export. The zero value knows none.
type watches struct {
	mu   sync.Mutex
	open map[virtual.Endpoint]map[*held]struct{}
}

// held is one open watch on gr, as resource says; resource is nil for apibindings.
type held struct {
	gr       schema.GroupResource
	resource *catalog.Resource
	cancel   context.CancelFunc
}

// hold returns a context that ends with ctx, with done, or when the watch is ended.
func (w *watches) hold(ctx context.Context, endpoint virtual.Endpoint, h *held) (watch context.Context, done func()) {
	ctx, h.cancel = context.WithCancel(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == nil {
		w.open = map[virtual.Endpoint]map[*held]struct{}{}
	}
	if w.open[endpoint] == nil {
		w.open[endpoint] = map[*held]struct{}{}
	}
	w.open[endpoint][h] = struct{}{}
	return ctx, func() {
		h.cancel()
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.open[endpoint], h)
		if len(w.open[endpoint]) == 0 {
			delete(w.open, endpoint)
		}
	}
}

// on returns the watches on endpoint.
func (w *watches) on(endpoint virtual.Endpoint) []*held {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*held
	for h := range w.open[endpoint] {
		all = append(all, h)
	}
	return all
}

// in returns the exports in cluster that are watched; all of them when cluster is empty.
func (w *watches) in(cluster logicalcluster.Name) []virtual.Endpoint {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []virtual.Endpoint
	for endpoint := range w.open {
		if cluster.Empty() || endpoint.Cluster == cluster {
			found = append(found, endpoint)
		}
	}
	return found
}

// Run ends watches whose export changes, until ctx ends. It returns nil then, or the reason why exports cannot be watched.
func (e *Endpoint) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, 2)
	var both sync.WaitGroup
	for i, gr := range []schema.GroupResource{exports, schemas} {
		both.Go(func() {
			if err := e.Cached.Watch(ctx, gr, func(event client.Event) { e.observe(ctx, event) }); err != nil && ctx.Err() == nil {
				errs[i] = fmt.Errorf("watching %s for the virtual workspaces of providers: %w", gr, err)
				cancel()
			}
		})
	}
	both.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// observe looks again at what an event of an export or schema may have changed.
func (e *Endpoint) observe(ctx context.Context, event client.Event) {
	s := e.serving.Load()
	if s == nil || event.Type == client.Reset {
		return
	}
	var concerned []virtual.Endpoint
	switch obj := event.Object.(type) {
	case nil: // synced: what happened before was perhaps missed
		concerned = e.open.in("")
	case *apisv1alpha2.APIExport:
		concerned = []virtual.Endpoint{{Kind: virtual.APIExport, Cluster: logicalcluster.From(obj), Name: obj.Name}}
	default:
		concerned = e.open.in(logicalcluster.From(obj))
	}
	for _, endpoint := range concerned {
		for _, h := range e.open.on(endpoint) {
			if e.outdated(ctx, s, endpoint, h) {
				h.cancel()
			}
		}
	}
}
