package storage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/head"
)

// HeadScope says which objects are meant. The zero value stands for everything that is stored.
type HeadScope struct {
	Cluster   logicalcluster.Name // empty for all clusters
	Namespace string              // empty for all namespaces; needs Cluster
	// Wanted reports whether the objects of a resource in a bucket are meant; nil stands for all. The bucket is empty for
	// typed resources.
	Wanted func(resource schema.GroupResource, bucket string) bool
}

// Heads returns the heads of the objects in scope, typed and custom, whatever their schemas. It sees every write that was
// acknowledged before the call: all callers share one look at etcd, and everything else comes from the watch caches. Only the
// caches of resources that the cluster may store are read. Heads come grouped by resource and bucket, in key order.
func (b *Backend) Heads(ctx context.Context, scope HeadScope) ([]head.Head, error) {
	below, err := scope.below()
	if err != nil {
		return nil, err
	}
	if _, err := b.current.Wait(ctx); err != nil {
		return nil, apiError(ctx, err, false)
	}
	var found []head.Head
	for _, p := range b.parts(scope) {
		list := p.cache.newListFunc()
		// The cache has what is needed, so "0" is enough. Waiting in a cache for a revision starts a goroutine that stays for 3 s.
		options := apistorage.ListOptions{ResourceVersion: "0", Recursive: true, Predicate: apistorage.Everything}
		if err := p.cache.CacheDelegator.GetList(ctx, p.base+below, options, list); err != nil {
			return nil, apiError(ctx, fmt.Errorf("reading what is stored of %s: %w", p.resource, err), false)
		}
		heads, err := p.cache.headsOf(list)
		if err != nil {
			return nil, err
		}
		found = append(found, heads...)
	}
	return found, nil
}

// below returns what follows a base in the keys of scope, with a slash at the end.
func (s HeadScope) below() (string, error) {
	switch {
	case s.Cluster.Empty() && s.Namespace != "":
		return "", fmt.Errorf("namespace %q needs a cluster", s.Namespace)
	case s.Cluster.Empty():
		return "/", nil
	case !validSegment(string(s.Cluster)) || strings.Contains(s.Namespace, "/"):
		return "", fmt.Errorf("invalid cluster %q or namespace %q", s.Cluster, s.Namespace)
	case s.Namespace != "":
		return "/" + string(s.Cluster) + "/" + s.Namespace + "/", nil
	}
	return "/" + string(s.Cluster) + "/", nil
}

// part is the part of a watch cache that holds one resource, and for custom resources one bucket of it.
type part struct {
	cache    *cached
	base     string
	resource schema.GroupResource
	bucket   string
}

// parts returns the parts of all watch caches that may hold something in scope, in key order.
func (b *Backend) parts(scope HeadScope) []part {
	var all []part
	for _, shard := range b.custom {
		all = append(all, shard.scopes.holding(shard.cached, scope.Cluster)...)
	}
	roots := map[string]bool{}
	b.lock.Lock()
	for c := range b.caches {
		if !strings.HasPrefix(c.root, customRoot+"/") && !roots[c.root] {
			roots[c.root] = true
			all = append(all, part{cache: c, base: c.root, resource: c.resource})
		}
	}
	b.lock.Unlock()
	if scope.Wanted != nil {
		all = slices.DeleteFunc(all, func(p part) bool { return !scope.Wanted(p.resource, p.bucket) })
	}
	slices.SortFunc(all, func(x, y part) int { return cmp.Compare(x.base, y.base) })
	return all
}

// headsOf returns the heads of a list of the cache.
func (c *cached) headsOf(list runtime.Object) ([]head.Head, error) {
	heads := make([]head.Head, 0, meta.LenList(list))
	err := meta.EachListItem(list, func(obj runtime.Object) error {
		h, err := c.head(obj)
		heads = append(heads, h)
		return err
	})
	return heads, err
}

// head returns the head of an object of the cache.
func (c *cached) head(obj runtime.Object) (head.Head, error) {
	raw, ok := obj.(*Raw)
	if !ok {
		accessor, err := meta.Accessor(obj)
		if err != nil {
			return head.Head{}, fmt.Errorf("reading what is stored of %s: %w", c.resource, err)
		}
		return head.Of(c.resource, "", accessor), nil
	}
	k, err := parseKey(raw.Key())
	if err != nil {
		return head.Head{}, err
	}
	h := head.Of(k.resource, k.bucket, raw)
	h.Cluster, h.Namespace, h.Name, h.Damaged = k.cluster, k.namespace, k.name, raw.Damaged()
	return h, nil
}

// keyOf returns the key of the object that h is of.
func keyOf(h head.Head) key {
	return key{resource: h.Resource, custom: h.Bucket != "", bucket: h.Bucket, cluster: h.Cluster, namespace: h.Namespace, name: h.Name}
}

// caughtUpPeriod is the time between two looks at how far the watch caches are.
const caughtUpPeriod = time.Millisecond

// catchUp returns etcd's current revision once all watch caches have reached it. Backend.current shares it, so that one call
// runs at a time. It asks the caches how far they are instead of waiting in each of them, because such a wait leaves a goroutine
// behind for 3 s.
func (b *Backend) catchUp(ctx context.Context) (uint64, error) {
	now, err := revision(ctx, b.client, b.prefix)
	if err != nil {
		return 0, err
	}
	b.lock.Lock()
	behind := make([]*cached, 0, len(b.caches))
	for c := range b.caches {
		behind = append(behind, c)
	}
	b.lock.Unlock()
	tick := time.NewTicker(caughtUpPeriod)
	defer tick.Stop()
	for {
		if behind = slices.DeleteFunc(behind, func(c *cached) bool { return c.reached(uint64(now)) }); len(behind) == 0 {
			return uint64(now), nil
		}
		b.progress.request()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("waiting for the watch cache of %s: %w", behind[0].resource, context.Cause(ctx))
		}
	}
}

// reached reports whether the cache holds everything up to revision rv.
func (c *cached) reached(rv uint64) bool {
	if !c.watchCache.Ready() {
		return false
	}
	at, err := c.watchCache.LastSyncResourceVersion()
	return err == nil && at >= rv
}
