package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"golang.org/x/sync/errgroup"

	"github.com/annex-dev/annex/apis/core/limits"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/fresh"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/owners"
	"github.com/annex-dev/annex/registry/storage/rendered"
	"github.com/annex-dev/annex/registry/storage/watchcache"
)

// etcd is one etcd, with the watch caches of what it stores.
type etcd struct {
	client  *kubernetes.Client
	kv      clientv3.KV          // through which ranges are read
	writer  kubernetes.Interface // of objects
	owners  *owners.Client       // nil if objects need nothing that they belong to
	caches  *watchcache.Set
	current *fresh.Gate // before all its watch caches
}

// newMain returns the etcd that has everything of which no other is said to have it.
func (b *Backend) newMain(config Config, set watchcache.Config) *etcd {
	e := &etcd{client: config.Client}
	b.rendered = rendered.New(rendered.Config{KV: config.Client.KV, Prefix: config.Prefix, Resources: rendered.Resources, Bytes: renderedBytes, Encryption: b.encryption})
	e.kv, e.writer = b.rendered.KV(), config.Client.Kubernetes
	if !config.Orphans {
		e.owners = owners.New(b.ownersConfig(config, e))
		e.owners.Implied = b.rendered
		b.rendered.Writer, e.writer = e.owners, b.rendered
	}
	set.Expand, set.Again = b.rendered.Expand, b.rendered.Again
	e.start(set)
	return e
}

// newOther returns another etcd.
func (b *Backend) newOther(config Config, client *kubernetes.Client, set watchcache.Config) *etcd {
	e := &etcd{client: client, kv: client.KV, writer: client.Kubernetes}
	if !config.Orphans {
		of := b.ownersConfig(config, e)
		of.Home = b.main.owners
		e.owners = owners.New(of)
		e.writer = unrendered{e.owners}
	}
	e.start(set)
	return e
}

func (b *Backend) ownersConfig(config Config, e *etcd) owners.Config {
	return owners.Config{
		Interface: e.client.Kubernetes, KV: e.client.KV, Prefix: config.Prefix, Cached: b.seen, Limits: config.Limits, Encryption: b.encryption,
		Stored: func(ctx context.Context, cluster logicalcluster.Name) (limits.Amount, error) {
			return b.stored(ctx, e, cluster)
		},
	}
}

func (e *etcd) start(set watchcache.Config) {
	client := *e.client
	client.Kubernetes = e.writer
	set.Client, set.KV = &client, e.kv
	e.caches = watchcache.NewSet(set)
	e.current = fresh.New(func(ctx context.Context) (uint64, error) { return e.caches.CatchUp(ctx) })
}

// unrendered writes to an etcd that has nothing of what clusters contain from the beginning.
type unrendered struct{ kubernetes.Interface }

// OptimisticPut implements kubernetes.Interface.
func (u unrendered) OptimisticPut(ctx context.Context, key string, value []byte, expected int64, opts kubernetes.PutOptions) (kubernetes.PutResponse, error) {
	if rendered.IsRecorded(ctx) {
		return kubernetes.PutResponse{}, fmt.Errorf("storing %s in a template: templates are in the main etcd", key)
	}
	return u.Interface.OptimisticPut(ctx, key, value, expected, opts)
}

// etcds returns all of them; the main one is the first.
func (b *Backend) etcds() []*etcd { return append([]*etcd{b.main}, b.others...) }

// at returns the etcd that has a root.
func (b *Backend) at(root string) *etcd {
	if e, ok := b.roots[root]; ok {
		return e
	}
	return b.main
}

// of returns the etcd that has k.
func (b *Backend) of(k layout.Key) *etcd {
	if k.Custom {
		return b.at(layout.ShardRoot(layout.ShardOf(k.Resource)))
	}
	return b.at(layout.TypedRoot(k.Resource))
}

// all returns the watch caches over all etcds.
func (b *Backend) all() []*watchcache.Cache {
	all := b.main.caches.All()
	for _, e := range b.others {
		all = append(all, e.caches.All()...)
	}
	return all
}

// upToDate returns when all watch caches have every write that was acknowledged before the call.
//
// If it is for one cluster, no object is created any more that belongs to what is then being deleted, or is of a resource that is leaving: in the
// main etcd, the write that says so sees to that; in the others, gates are shut before it is read how far they are.
func (b *Backend) upToDate(ctx context.Context, scope HeadScope) error {
	if _, err := b.main.current.Wait(ctx); err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for _, e := range b.others {
		group.Go(func() error {
			if !scope.Cluster.Empty() && e.owners != nil {
				err := e.owners.Shut(groupCtx, scope.Cluster, scope.Namespace, func(owner layout.Key) bool {
					seen, ok := b.seen(groupCtx, owner)
					return ok && !seen.Deleting && seen.Leaving == ""
				})
				if err != nil {
					return fmt.Errorf("shutting gates: %w", err)
				}
			}
			_, err := e.current.Wait(groupCtx)
			return err
		})
	}
	return group.Wait()
}

// Ready returns nil when every watch cache holds what is in etcd, or an error that names those that do not.
func (b *Backend) Ready() error {
	var errs []error
	for _, e := range b.etcds() {
		errs = append(errs, e.caches.Ready())
	}
	return errors.Join(errs...)
}

// Reachable returns nil when etcd, and every other one, answers a read that its quorum must agree to. It takes as long as ctx allows.
func (b *Backend) Reachable(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	for _, e := range b.etcds() {
		group.Go(func() error {
			// The key does not exist; one segment is no object.
			if _, err := e.client.KV.Get(groupCtx, b.prefix+"/reachable"); err != nil {
				return fmt.Errorf("reading from etcd: %w", err)
			}
			return nil
		})
	}
	return group.Wait()
}

// Destroy stops all watch caches and waits for them; open watches end. The etcd clients stay open.
func (b *Backend) Destroy() {
	b.stop()
	for _, e := range slices.Backward(b.etcds()) {
		e.caches.Destroy()
	}
}

// Elsewhere is another etcd than the main one, and which roots are there: see [OverrideRoot].
type Elsewhere struct {
	// Client is the client of the process for that etcd. Like Config.Client, it is closed by the caller.
	Client *kubernetes.Client
	Roots  []string
}

// addElsewhere starts the watch caches over the other etcds.
func (b *Backend) addElsewhere(config Config, set watchcache.Config) error {
	for _, other := range config.Elsewhere {
		if other.Client == nil || len(other.Roots) == 0 {
			return errors.New("another etcd needs a client and roots")
		}
		e := b.newOther(config, other.Client, set)
		b.others = append(b.others, e)
		for _, root := range other.Roots {
			if _, ok := b.roots[root]; ok || !strings.HasPrefix(root, "/") {
				return fmt.Errorf("%s cannot be in two etcds", root)
			}
			b.roots[root] = e
		}
		if b.main.owners != nil {
			b.main.owners.Elsewhere = append(b.main.owners.Elsewhere, e.owners)
		}
	}
	return nil
}
