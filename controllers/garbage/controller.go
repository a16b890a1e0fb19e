package garbage

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

const (
	// workers wait for etcd most of the time.
	workers = 16
	// afterRefusal is the time between two attempts of what validation or admission refuses, for the workspace to decide otherwise.
	afterRefusal = 5 * time.Minute
)

// collector is the garbage collector of all clusters.
type collector struct {
	client  client.Client
	content client.Content
	graph   *graph
	now     func() time.Time
	queue   atomic.Pointer[func(client.Key, time.Duration)]
}

// Specs returns the controller.
func Specs(in multicluster.Config) []multicluster.Spec {
	return []multicluster.Spec{newCollector(in).spec()}
}

func newCollector(in multicluster.Config) *collector {
	return &collector{client: in.Client, content: in.Content, graph: newGraph(), now: time.Now}
}

func (c *collector) spec() multicluster.Spec {
	return multicluster.Spec{
		Name:      "garbage",
		Workers:   workers,
		Feeds:     []func(context.Context, func(client.Key, time.Duration)){c.feed},
		Reconcile: c.reconcile,
	}
}

// feed makes work of what happens to objects. Events are neither owners nor owned, and there are many of them.
func (c *collector) feed(ctx context.Context, queue func(client.Key, time.Duration)) {
	c.queue.Store(&queue)
	// It returns with ctx.
	_ = c.content.Watch(ctx, client.WatchScope{Except: []schema.GroupResource{events}, Listed: isTracked}, func(event client.HeadEvent) {
		c.add(c.graph.handle(event))
	})
}

// add queues keys.
func (c *collector) add(keys []client.Key) {
	queue := c.queue.Load()
	if queue == nil {
		return
	}
	for _, key := range keys {
		(*queue)(key, 0)
	}
}

// reconcile does what a key of the graph stands for.
func (c *collector) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	err := c.do(ctx, key)
	if isRefusal(err) {
		klog.FromContext(ctx).V(2).Info("A workspace refuses that its garbage is collected", "reason", err.Error())
		return reconcile.Result{RequeueAfter: afterRefusal}, nil
	}
	return reconcile.Result{}, err
}

func (c *collector) do(ctx context.Context, key client.Key) error {
	switch key.Namespace {
	case toExamine:
		return c.examine(ctx, key.Cluster, types.UID(key.Name))
	case toCheck:
		n, ok := parseKeyName(key.Name)
		if !ok {
			return nil
		}
		return c.check(ctx, key.Cluster, n)
	}
	return c.finalize(ctx, key.Cluster)
}

// isRefusal reports whether err is the answer of validation or admission, for which the workspace is responsible.
func isRefusal(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) }

// ignoreGone says what was being done with the object of h when err came. That it is gone is no error.
func ignoreGone(doing string, h *client.Head, err error) error {
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("%s %s %q: %w", doing, h.Resource, h.Key().String(), err)
}
