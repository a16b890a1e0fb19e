package storage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

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
		// A list at "0" is answered from the cache as it is; a list at a revision starts a goroutine that stays for 3 s.
		options := apistorage.ListOptions{ResourceVersion: "0", Recursive: true, Predicate: apistorage.Everything}
		if err := p.cache.CacheDelegator.GetList(ctx, p.base+below, options, list); err != nil {
			return nil, apiError(ctx, fmt.Errorf("reading what is stored of %s: %w", p.resource, err), false)
		}
		if err := meta.EachListItem(list, func(obj runtime.Object) error {
			h, err := headOf(p.cache, obj)
			found = append(found, h)
			return err
		}); err != nil {
			return nil, err
		}
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

// part is the part of a watch cache that holds one kind.
type part struct {
	kind
	cache *cached
}

// parts returns the parts of all watch caches that may hold something in scope, in key order.
func (b *Backend) parts(scope HeadScope) []part {
	var all []part
	for _, shard := range b.custom {
		for _, k := range shard.holding(scope.Cluster) {
			all = append(all, part{kind: k, cache: shard.cached})
		}
	}
	roots := map[string]bool{}
	for _, c := range b.caches.all() {
		if !strings.HasPrefix(c.root, customRoot+"/") && !roots[c.root] {
			roots[c.root] = true
			all = append(all, part{kind: kind{base: c.root, resource: c.resource}, cache: c})
		}
	}
	if scope.Wanted != nil {
		all = slices.DeleteFunc(all, func(p part) bool { return !scope.Wanted(p.resource, p.bucket) })
	}
	slices.SortFunc(all, func(x, y part) int { return cmp.Compare(x.base, y.base) })
	return all
}

// headOf returns the head of an object of the cache.
func headOf(c *cached, obj runtime.Object) (head.Head, error) {
	if raw, ok := obj.(*Raw); ok {
		h := raw.Head()
		if h.Cluster.Empty() {
			return h, fmt.Errorf("the key %q is none of %s", raw.Key(), c.resource)
		}
		return h, nil
	}
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return head.Head{}, fmt.Errorf("reading what is stored of %s: %w", c.resource, err)
	}
	return head.Of(c.resource, "", accessor), nil
}

// keyOf returns the key of the object that h is of.
func keyOf(h head.Head) key {
	return key{resource: h.Resource, custom: h.Bucket != "", bucket: h.Bucket, cluster: h.Cluster, namespace: h.Namespace, name: h.Name}
}
