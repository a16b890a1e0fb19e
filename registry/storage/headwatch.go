package storage

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/registry/follow"
	"github.com/annex-dev/annex/registry/storage/answer"
	"github.com/annex-dev/annex/registry/storage/head"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/watchcache"
)

// HeadSources returns one source of heads for each watch cache that may hold objects of a resource, or of any when it is empty,
// in all clusters. The heads of other resources that share a cache come too. A source is named after its resource, if that is typed. Lists
// have only the heads for which listed returns true; all if it is nil.
func (b *Backend) HeadSources(resource schema.GroupResource, listed func(head.Head) bool) []follow.Source[head.Head] {
	if listed == nil {
		listed = func(head.Head) bool { return true }
	}
	var sources []follow.Source[head.Head]
	for _, c := range b.distinct() {
		if resource.Empty() || c.Resource == resource {
			sources = append(sources, headsIn(c, listed))
		}
	}
	if len(sources) == 0 { // it is a custom one, whether somebody stores it by now or not
		sources = append(sources, headsIn(b.custom[layout.ShardOf(resource)].Cache, listed))
	}
	return sources
}

// headsIn returns a cache as a source of heads.
func headsIn(c *watchcache.Cache, listed func(head.Head) bool) follow.Source[head.Head] {
	return follow.Source[head.Head]{
		Name: c.Resource.String(),
		List: func(ctx context.Context, _ string) (follow.Page[head.Head], error) {
			list := c.NewListFunc()
			if err := c.GetList(ctx, c.Root+"/", apistorage.ListOptions{Recursive: true, Predicate: apistorage.Everything}, list); err != nil {
				return follow.Page[head.Head]{}, answer.Error(ctx, err, false)
			}
			accessor, err := meta.ListAccessor(list)
			if err != nil {
				return follow.Page[head.Head]{}, err
			}
			heads, err := headsOf(c, list, listed)
			return follow.Page[head.Head]{Items: heads, Version: accessor.GetResourceVersion()}, err
		},
		Watch: func(ctx context.Context, resourceVersion string) (watch.Interface, error) {
			options := apistorage.ListOptions{ResourceVersion: resourceVersion, Recursive: true, Predicate: apistorage.Everything}
			options.Predicate.AllowWatchBookmarks = true
			w, err := c.Watch(watchcache.Unscoped(ctx, ""), c.Root+"/", options)
			return w, answer.Error(ctx, err, false)
		},
		Read: func(obj runtime.Object) (head.Head, error) { return headOf(c, obj) },
	}
}
