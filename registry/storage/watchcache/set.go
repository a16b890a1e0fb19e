package watchcache

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"google.golang.org/grpc/metadata"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/features"
	apistorage "k8s.io/apiserver/pkg/storage"
	etcdfeature "k8s.io/apiserver/pkg/storage/feature"
	"k8s.io/apiserver/pkg/storage/value"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/compaction"
	"github.com/annex-dev/annex/registry/storage/feed"
)

// Set is all watch caches over one etcd. It is safe for many goroutines.
type Set struct {
	client        *kubernetes.Client
	feed          *feed.Feed
	Prefix        string
	historyWindow time.Duration
	compactor     *compaction.Compactor
	progress      *progress
	// withoutMarker hands the cachers a storage that lacks the marker of listOnly: tests show what it is for.
	withoutMarker bool
	transform     func(value.Transformer) value.Transformer

	lock      sync.Mutex
	destroyed bool
	caches    map[*Cache]struct{}
	byRoot    map[string]*Cache // one of those with each root
	first     *Cache            // the one through which etcd is asked for progress
}

// Config is what a set is made from. Prefix is what all keys begin with; a CompactionInterval of zero means never.
type Config struct {
	Client             *kubernetes.Client
	KV                 clientv3.KV // through which ranges are read
	Expand             feed.Expand // see feed.New
	Again              feed.Again  // see feed.New
	Prefix             string
	CompactionInterval time.Duration
	HistoryWindow      time.Duration
	// The rest is for tests: see Set.withoutMarker, and what is put between the guard of every store and etcd.
	WithoutMarker bool
	Transform     func(guard value.Transformer) value.Transformer
}

// NewSet returns a set without caches. Its compactor runs.
func NewSet(config Config) *Set {
	compactor := compaction.New(config.Client.Client, config.CompactionInterval)
	watches := feed.New(config.Client.Watcher, config.Prefix+"/", counted(config.Expand, compactor), config.Again)
	s := &Set{
		client:        &kubernetes.Client{Client: feeding(config.Client.Client, config.KV, watches), Kubernetes: config.Client.Kubernetes},
		feed:          watches,
		Prefix:        config.Prefix,
		historyWindow: config.HistoryWindow,
		compactor:     compactor,
		withoutMarker: config.WithoutMarker,
		transform:     config.Transform,
		caches:        map[*Cache]struct{}{},
		byRoot:        map[string]*Cache{},
	}
	s.progress = &progress{ask: s.askProgress}
	return s
}

// feeding returns what stock stores use of client, with another KV and the feed as its watcher. It has no endpoints, which stock stores ask whether
// their caches can be consistent.
func feeding(client *clientv3.Client, kv clientv3.KV, watches *feed.Feed) *clientv3.Client {
	etcdfeature.DefaultFeatureSupportChecker.CheckClient(client.Ctx(), client, apistorage.RequestWatchProgress)
	c := clientv3.NewCtxClient(client.Ctx())
	c.KV, c.Lease, c.Watcher = kv, client.Lease, watches
	return c
}

// counted tells the compactor how much is written, by all replicas.
func counted(expand feed.Expand, compactor *compaction.Compactor) feed.Expand {
	return func(ctx context.Context, e *clientv3.Event) ([]*clientv3.Event, error) {
		compactor.Wrote(len(e.Kv.Key) + len(e.Kv.Value))
		if expand == nil {
			return []*clientv3.Event{e}, nil
		}
		return expand(ctx, e)
	}
}

// Ready returns nil when every watch cache holds what is in etcd, or an error that names those that do not.
func (s *Set) Ready() error {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.destroyed {
		return errors.New("storage is shut down")
	}
	var waiting []string
	for c := range s.caches {
		if err := c.ReadinessCheck(); err != nil {
			waiting = append(waiting, c.Resource.String())
		}
	}
	if len(waiting) > 0 {
		slices.Sort(waiting)
		return fmt.Errorf("watch caches are not filled yet: %s", strings.Join(waiting, ", "))
	}
	return nil
}

// All returns the watch caches that run.
func (s *Set) All() []*Cache {
	s.lock.Lock()
	defer s.lock.Unlock()
	return slices.Collect(maps.Keys(s.caches))
}

// Of returns a watch cache of the resource whose keys begin with root; nil if there is none.
func (s *Set) Of(root string) *Cache {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.byRoot[root]
}

// ReadAgain makes all watch caches read a list, as if etcd had compacted what they watch. Open watches of clients end.
func (s *Set) ReadAgain() { s.feed.Compacted() }

// Destroy stops all watch caches and waits for them; open watches end.
func (s *Set) Destroy() {
	s.lock.Lock()
	destroyed := s.destroyed
	s.destroyed = true
	s.lock.Unlock()
	if destroyed {
		return
	}
	var wg sync.WaitGroup
	for _, c := range s.All() {
		wg.Go(c.Stop)
	}
	wg.Wait()
	_ = s.feed.Close() // never fails
	s.compactor.Stop()
}

func (s *Set) remember(c *Cache) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.destroyed {
		return errors.New("storage is shut down")
	}
	s.caches[c] = struct{}{}
	s.byRoot[c.Root] = c
	if s.first == nil {
		s.first = c
	}
	return nil
}

func (s *Set) forget(c *Cache) {
	s.lock.Lock()
	defer s.lock.Unlock()
	delete(s.caches, c)
	if s.byRoot[c.Root] != c {
		return
	}
	delete(s.byRoot, c.Root)
	for other := range s.caches {
		if other.Root == c.Root {
			s.byRoot[c.Root] = other
		}
	}
}

// CatchUp returns etcd's current revision once the watch caches of the resources, all if there are none, have reached it. It asks
// the caches instead of waiting in each of them, which would leave a goroutine there for 3 s: let one call run at a time.
func (s *Set) CatchUp(ctx context.Context, resources ...schema.GroupResource) (uint64, error) {
	behind, err := s.of(resources)
	if err != nil {
		return 0, err
	}
	now, err := s.revision(ctx)
	if err != nil {
		return 0, err
	}
	tick := time.NewTicker(caughtUpPeriod)
	defer tick.Stop()
	for look := 0; ; look++ {
		if behind = slices.DeleteFunc(behind, func(c *Cache) bool { return c.reached(uint64(now)) }); len(behind) == 0 {
			return uint64(now), nil
		}
		if look%progressPatience == 0 {
			s.progress.request()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("waiting for the watch cache of %s: %w", behind[0].Resource, context.Cause(ctx))
		}
	}
}

// Unchanged reports whether nothing was written in cluster, in any of the resources, between the revisions since and until. It is
// false if that is not known, for example because a watch cache has not reached until, or because something was written later.
func (s *Set) Unchanged(cluster logicalcluster.Name, since, until uint64, resources ...schema.GroupResource) bool {
	caches, err := s.of(resources)
	return err == nil && !slices.ContainsFunc(caches, func(c *Cache) bool { return !c.unchanged(cluster, since, until) })
}

// of returns the watch caches of resources, or all if there are none.
func (s *Set) of(resources []schema.GroupResource) ([]*Cache, error) {
	all := s.All()
	if len(resources) == 0 {
		return all, nil
	}
	caches := make([]*Cache, 0, len(resources))
	for _, resource := range resources {
		i := slices.IndexFunc(all, func(c *Cache) bool { return c.Resource == resource })
		if i < 0 {
			return nil, fmt.Errorf("there is no watch cache of %s", resource)
		}
		caches = append(caches, all[i])
	}
	return caches, nil
}

// revision returns the current revision of etcd.
func (s *Set) revision(ctx context.Context) (int64, error) {
	resp, err := s.client.Kubernetes.Get(ctx, s.Prefix+"/revision", kubernetes.GetOptions{})
	if err != nil {
		return 0, fmt.Errorf("reading the current revision: %w", err)
	}
	return resp.Revision, nil
}

// askProgress asks on the stream that the caches' watches use.
func (s *Set) askProgress() {
	s.lock.Lock()
	first := s.first
	s.lock.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if utilfeature.DefaultFeatureGate.Enabled(features.SeparateCacheWatchRPC) {
		// The cacher marks its streams so (k8s.io/apiserver/pkg/storage/cacher/cacher.go, NewCacherFromConfig).
		ctx = metadata.NewOutgoingContext(ctx, metadata.Pairs("source", "cache"))
	}
	if err := first.RequestWatchProgress(ctx); err != nil {
		klog.V(4).InfoS("Asking etcd for progress failed", "err", err) // the cachers ask themselves, too
	}
}
