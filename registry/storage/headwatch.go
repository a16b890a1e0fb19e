package storage

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/registry/follow"
	"github.com/annex-dev/annex/registry/storage/head"
)

// HeadSources returns one source of heads for each watch cache that may hold objects of a resource, or of any when it is empty,
// in all clusters. The heads of other resources that share a cache come too.
func (b *Backend) HeadSources(resource schema.GroupResource) []follow.Source[head.Head] {
	var sources []follow.Source[head.Head]
	b.lock.Lock()
	defer b.lock.Unlock()
	for c := range b.caches {
		if resource.Empty() || c.resource == resource {
			sources = append(sources, c.heads())
		}
	}
	if len(sources) == 0 { // it is a custom one, whether somebody stores it by now or not
		sources = append(sources, b.custom[shardOf(resource)].heads())
	}
	return sources
}

// heads returns the cache as a source of heads.
func (c *cached) heads() follow.Source[head.Head] {
	return follow.Source[head.Head]{
		Name: c.resource.String(),
		List: func(ctx context.Context) ([]head.Head, string, error) {
			list := c.newListFunc()
			if err := c.GetList(ctx, c.root+"/", apistorage.ListOptions{Recursive: true, Predicate: apistorage.Everything}, list); err != nil {
				return nil, "", apiError(ctx, err, false)
			}
			accessor, err := meta.ListAccessor(list)
			if err != nil {
				return nil, "", err
			}
			heads, err := c.headsOf(list)
			return heads, accessor.GetResourceVersion(), err
		},
		Watch: func(ctx context.Context, resourceVersion string) (watch.Interface, error) {
			options := apistorage.ListOptions{ResourceVersion: resourceVersion, Recursive: true, Predicate: apistorage.Everything}
			options.Predicate.AllowWatchBookmarks = true
			w, err := c.CacheDelegator.Watch(unscoped(ctx, ""), c.root+"/", options)
			return w, apiError(ctx, err, false)
		},
		Read: c.head,
	}
}
