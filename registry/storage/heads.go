package storage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apistorage "k8s.io/apiserver/pkg/storage"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/answer"
	"github.com/annex-dev/annex/registry/storage/head"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/owners"
	"github.com/annex-dev/annex/registry/storage/raw"
	"github.com/annex-dev/annex/registry/storage/watchcache"
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
// caches of resources that the cluster may store are read. Heads come grouped by resource and bucket, in key order. After it was called
// for a cluster, no object is created any more whose owner was being deleted before: see upToDate.
func (b *Backend) Heads(ctx context.Context, scope HeadScope) ([]head.Head, error) {
	below, err := scope.below()
	if err != nil {
		return nil, err
	}
	if err := b.upToDate(ctx, scope); err != nil {
		return nil, answer.Error(ctx, err, false)
	}
	var found []head.Head
	for _, p := range b.parts(scope) {
		list, err := p.list(ctx, below)
		if err != nil {
			return nil, err
		}
		heads, err := headsOf(p.cache, list, nil)
		if err != nil {
			return nil, err
		}
		found = append(found, heads...)
	}
	if scope.Cluster.Empty() || len(found) == 0 {
		return found, nil
	}
	since, err := b.rendered.Made(ctx, scope.Cluster)
	if err != nil {
		return nil, answer.Error(ctx, err, false)
	}
	for i := range found {
		h := &found[i]
		h.Rendered = since != 0 && (len(b.others) == 0 || b.of(keyOf(*h)) == b.main) && h.ResourceVersion == strconv.FormatInt(since, 10) && h.Resource != owners.LogicalClusters
	}
	return found, nil
}

// Contents calls visit with each custom resource in scope: its head, and the bytes that are stored of it, which visit may keep. It sees what Heads
// sees, in the same order, and ends with the first error of visit.
func (b *Backend) Contents(ctx context.Context, scope HeadScope, visit func(h head.Head, data []byte) error) error {
	below, err := scope.below()
	if err != nil {
		return err
	}
	if err := b.upToDate(ctx, scope); err != nil {
		return answer.Error(ctx, err, false)
	}
	for _, p := range b.parts(scope) {
		if p.Bucket == "" {
			continue
		}
		list, err := p.list(ctx, below)
		if err != nil {
			return err
		}
		err = meta.EachListItem(list, func(obj runtime.Object) error {
			h, err := headOf(p.cache, obj)
			if err != nil {
				return err
			}
			return visit(h, obj.(*raw.Object).Data())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Cached returns the heads of the objects of a typed resource in a cluster, as the watch cache has them. It decodes none of them.
func (b *Backend) Cached(ctx context.Context, resource schema.GroupResource, cluster logicalcluster.Name) ([]head.Head, error) {
	below, err := HeadScope{Cluster: cluster}.below()
	if err != nil {
		return nil, err
	}
	if cluster.Empty() {
		return nil, fmt.Errorf("reading what is cached of %s: no cluster is named", resource)
	}
	return b.cached(ctx, resource, below)
}

// CachedEverywhere returns the heads of the objects of a typed resource in all clusters, as the watch cache has them. It decodes none of them.
func (b *Backend) CachedEverywhere(ctx context.Context, resource schema.GroupResource) ([]head.Head, error) {
	return b.cached(ctx, resource, "/")
}

// cached returns the heads of the objects of a typed resource below its root.
func (b *Backend) cached(ctx context.Context, resource schema.GroupResource, below string) ([]head.Head, error) {
	root := layout.TypedRoot(resource)
	cache := b.at(root).caches.Of(root)
	if cache == nil {
		return nil, fmt.Errorf("reading what is cached of %s: no such cache", resource)
	}
	list := cache.NewListFunc()
	options := apistorage.ListOptions{ResourceVersion: "0", Recursive: true, Predicate: apistorage.Everything}
	if err := cache.CacheDelegator.GetList(ctx, root+below, options, list); err != nil {
		return nil, answer.Error(ctx, fmt.Errorf("reading what is stored of %s: %w", resource, err), false)
	}
	return headsOf(cache, list, nil)
}

// below returns what follows a base in the keys of scope, with a slash at the end.
func (s HeadScope) below() (string, error) {
	switch {
	case s.Cluster.Empty() && s.Namespace != "":
		return "", fmt.Errorf("namespace %q needs a cluster", s.Namespace)
	case s.Cluster.Empty():
		return "/", nil
	case !layout.ValidSegment(string(s.Cluster)) || strings.Contains(s.Namespace, "/"):
		return "", fmt.Errorf("invalid cluster %q or namespace %q", s.Cluster, s.Namespace)
	case s.Namespace != "":
		return "/" + string(s.Cluster) + "/" + s.Namespace + "/", nil
	}
	return "/" + string(s.Cluster) + "/", nil
}

// part is the part of a watch cache that holds one kind.
type part struct {
	raw.Kind
	cache *watchcache.Cache
	etcd  *etcd
}

// list returns the objects of the part that are below its base and below.
func (p part) list(ctx context.Context, below string) (runtime.Object, error) {
	list := p.cache.NewListFunc()
	// The cache has what is needed, so "0" is enough. A list at a revision starts a goroutine that stays for 3 s.
	options := apistorage.ListOptions{ResourceVersion: "0", Recursive: true, Predicate: apistorage.Everything}
	if err := p.cache.CacheDelegator.GetList(ctx, p.Base+below, options, list); err != nil {
		return nil, answer.Error(ctx, fmt.Errorf("reading what is stored of %s: %w", p.Resource, err), false)
	}
	return list, nil
}

// parts returns the parts of all watch caches that may hold something in scope, in key order.
func (b *Backend) parts(scope HeadScope) []part {
	var all []part
	for i, shard := range b.custom {
		if !shard.Clusters.Has(scope.Cluster) {
			continue
		}
		for _, k := range shard.Holding(scope.Cluster) {
			all = append(all, part{Kind: k, cache: shard.Cache, etcd: b.at(layout.ShardRoot(i))})
		}
	}
	for _, c := range b.distinct() {
		if !strings.HasPrefix(c.Root, layout.CustomRoot+"/") && c.Clusters.Has(scope.Cluster) {
			all = append(all, part{Kind: raw.Kind{Base: c.Root, Resource: c.Resource}, cache: c, etcd: b.at(c.Root)})
		}
	}
	if scope.Wanted != nil {
		all = slices.DeleteFunc(all, func(p part) bool { return !scope.Wanted(p.Resource, p.Bucket) })
	}
	slices.SortFunc(all, func(x, y part) int { return cmp.Compare(x.Base, y.Base) })
	return all
}

// distinct returns one watch cache for each root. Stores that are completed more than once have several.
func (b *Backend) distinct() []*watchcache.Cache {
	seen := map[string]bool{}
	return slices.DeleteFunc(b.all(), func(c *watchcache.Cache) bool {
		again := seen[c.Root]
		seen[c.Root] = true
		return again
	})
}

// headsOf returns those heads of a list of the cache that are wanted; all if wanted is nil.
func headsOf(c *watchcache.Cache, list runtime.Object, wanted func(head.Head) bool) ([]head.Head, error) {
	var heads []head.Head
	if wanted == nil {
		heads = make([]head.Head, 0, meta.LenList(list))
	}
	err := meta.EachListItem(list, func(obj runtime.Object) error {
		h, err := headOf(c, obj)
		if wanted == nil || wanted(h) {
			heads = append(heads, h)
		}
		return err
	})
	return heads, err
}

// headOf returns the head of an object of the cache.
func headOf(c *watchcache.Cache, obj runtime.Object) (head.Head, error) {
	raw, ok := obj.(*raw.Object)
	if !ok {
		return head.Head{}, fmt.Errorf("the watch cache of %s holds a %T", c.Resource, obj)
	}
	h := raw.Head()
	if h.Cluster.Empty() {
		return h, fmt.Errorf("the key %q is none of %s", raw.Key(), c.Resource)
	}
	return h, nil
}

// keyOf returns the key of the object that h is of.
func keyOf(h head.Head) layout.Key {
	return layout.Key{Resource: h.Resource, Custom: h.Bucket != "", Bucket: h.Bucket, Cluster: h.Cluster, Namespace: h.Namespace, Name: h.Name}
}

// Head returns the head of the object that has the key of of, as the watch cache has it, or with now as it is at the time of the call or
// later; nil if there is none.
func (b *Backend) Head(ctx context.Context, of head.Head, now bool) (*head.Head, error) {
	obj, cache, err := b.rawOf(ctx, of, now)
	if obj == nil || err != nil {
		return nil, err
	}
	h, err := headOf(cache, obj)
	return &h, err
}

// StoredVersion returns the version in which the custom resource that h is of is stored, as the watch cache has it; empty if there is none, or
// if that cannot be read.
func (b *Backend) StoredVersion(ctx context.Context, h head.Head) (string, error) {
	obj, _, err := b.rawOf(ctx, h, false)
	if obj == nil || err != nil || obj.Damaged() {
		return "", err
	}
	var stored struct {
		APIVersion string `json:"apiVersion"`
	}
	if err := json.Unmarshal(obj.Data(), &stored); err != nil {
		return "", nil //nolint:nilerr // as with other damage
	}
	gv, err := schema.ParseGroupVersion(stored.APIVersion)
	if err != nil || gv.Group != h.Resource.Group {
		return "", nil //nolint:nilerr // as with other damage
	}
	return gv.Version, nil
}

// rawOf returns the object that has the key of of, as the watch cache has it, and that cache; nil if there is none.
func (b *Backend) rawOf(ctx context.Context, of head.Head, now bool) (*raw.Object, *watchcache.Cache, error) {
	k := keyOf(of)
	if parsed, err := layout.Parse(k.String()); err != nil || parsed != k {
		return nil, nil, nil // nothing is stored under such a name, which may be that of an owner reference
	}
	etcd, root := b.of(k), layout.TypedRoot(k.Resource)
	if k.Custom {
		root = layout.ShardRoot(layout.ShardOf(k.Resource))
	}
	cache := etcd.caches.Of(root)
	if cache == nil {
		return nil, nil, fmt.Errorf("reading the head of one of %s: nothing stores it", k.Resource)
	}
	if now {
		if _, err := etcd.current.Wait(ctx); err != nil {
			return nil, nil, answer.Error(ctx, err, false)
		}
	}
	var obj raw.Object
	err := cache.CacheDelegator.Get(ctx, k.String(), apistorage.GetOptions{ResourceVersion: "0"}, &obj)
	if apistorage.IsNotFound(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, answer.Error(ctx, err, false)
	}
	return &obj, cache, nil
}

// seen implements owners.Cached for typed resources.
func (b *Backend) seen(ctx context.Context, k layout.Key) (owners.Seen, bool) {
	cache := b.main.caches.Of(layout.TypedRoot(k.Resource))
	if cache == nil || k.Custom {
		return owners.Seen{}, false
	}
	var obj raw.Object
	if err := cache.CacheDelegator.Get(ctx, k.String(), apistorage.GetOptions{ResourceVersion: "0"}, &obj); err != nil {
		return owners.Seen{}, false
	}
	h, err := headOf(cache, &obj)
	if err != nil || h.Damaged {
		return owners.Seen{}, false
	}
	seen := owners.Seen{UID: h.UID, Deleting: h.DeletionTimestamp != nil}
	switch k.Resource {
	case owners.LogicalClusters:
		seen.Annotations = obj.StoredAnnotations()
	case owners.Bindings:
		// Most have none, and looking for the key is cheaper than decoding.
		if bytes.Contains(obj.Data(), []byte(apisv1alpha2.LeavingResourcesAnnotationKey)) {
			seen.Leaving = obj.StoredAnnotations()[apisv1alpha2.LeavingResourcesAnnotationKey]
		}
	}
	seen.Revision, err = strconv.ParseInt(h.ResourceVersion, 10, 64)
	return seen, err == nil
}
