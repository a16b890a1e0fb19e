package kind

import (
	"context"

	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/registry/group"
)

// REST serves a kind to users. It differs from group.REST in watches: the stock store decorates the very objects that the
// watch cache shares, and does not see through the wrapper that it puts around them.
type REST struct {
	group.REST
	plain  *genericregistry.Store // without a decorator
	render func(runtime.Object) runtime.Object
}

var (
	_ rest.StandardStorage    = &REST{}
	_ rest.ShortNamesProvider = &REST{}
	_ rest.CategoriesProvider = &REST{}
)

// Watch implements rest.Watcher.
func (r *REST) Watch(ctx context.Context, options *metainternalversion.ListOptions) (watch.Interface, error) {
	events, err := r.plain.Watch(ctx, options)
	if err != nil {
		return nil, err
	}
	return watch.Filter(events, func(event watch.Event) (watch.Event, bool) {
		if event.Type != watch.Error {
			event.Object = r.render(event.Object)
		}
		return event, true
	}), nil
}
