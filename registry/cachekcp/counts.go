package cachekcp

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"

	cachev1alpha1 "github.com/annex-dev/annex/apis/cache/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/kinds"
)

// Counter counts the objects of a resource in a cluster that a selector selects, as the watch caches have them.
type Counter func(ctx context.Context, cluster logicalcluster.Name, gr schema.GroupResource, selector labels.Selector) (int, error)

// resourceREST serves clustercachedresources. Who reads one, or lists those of one cluster, gets counts of now. They are not stored: each
// change of an object would be a write more.
type resourceREST struct {
	*kinds.REST
	count Counter
}

var _ rest.StandardStorage = &resourceREST{}

// Get implements rest.Getter.
func (r *resourceREST) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	obj, err := r.REST.Get(ctx, name, options)
	if err != nil {
		return nil, err
	}
	resource, ok := obj.(*cachev1alpha1.ClusterCachedResource)
	if !ok {
		return nil, apierrors.NewInternalError(errors.New("the object is not a ClusterCachedResource"))
	}
	return r.counted(ctx, resource)
}

// List implements rest.Lister.
func (r *resourceREST) List(ctx context.Context, options *metainternalversion.ListOptions) (runtime.Object, error) {
	obj, err := r.REST.List(ctx, options)
	if err != nil {
		return nil, err
	}
	list, ok := obj.(*cachev1alpha1.ClusterCachedResourceList)
	if !ok {
		return nil, apierrors.NewInternalError(errors.New("the list is not one of ClusterCachedResources"))
	}
	if _, single := logicalcluster.FromContext(ctx); !single {
		return list, nil
	}
	for i := range list.Items {
		counted, err := r.counted(ctx, &list.Items[i])
		if err != nil {
			return nil, err
		}
		list.Items[i] = *counted
	}
	return list, nil
}

// counted returns resource, or a copy of it with counts.
func (r *resourceREST) counted(ctx context.Context, resource *cachev1alpha1.ClusterCachedResource) (*cachev1alpha1.ClusterCachedResource, error) {
	if resource.Status.Phase != cachev1alpha1.ClusterCachedResourcePhaseReady {
		return resource, nil
	}
	selector, err := SelectorOf(resource)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	gr := schema.GroupResource{Group: resource.Spec.Group, Resource: resource.Spec.Resource}
	n, err := r.count(ctx, logicalcluster.From(resource), gr, selector)
	if err != nil {
		return nil, fmt.Errorf("counting %s: %w", gr, err)
	}
	copied := *resource
	copied.Status.ResourceCounts = &cachev1alpha1.ResourceCount{Cache: n, Local: n}
	return &copied, nil
}

// SelectorOf returns what resource selects. A selector that is not set selects everything.
func SelectorOf(resource *cachev1alpha1.ClusterCachedResource) (labels.Selector, error) {
	if resource.Spec.LabelSelector == nil {
		return labels.Everything(), nil
	}
	selector, err := metav1.LabelSelectorAsSelector(resource.Spec.LabelSelector)
	if err != nil {
		return nil, fmt.Errorf("reading the selector of ClusterCachedResource %s: %w", resource.Name, err)
	}
	return selector, nil
}
