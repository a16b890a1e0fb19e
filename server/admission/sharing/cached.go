package sharing

import (
	"context"
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"

	cachev1alpha1 "github.com/annex-dev/annex/apis/cache/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/apistatus"
)

var (
	cachedResources      = cachev1alpha1.Resource("clustercachedresources")
	cachedEndpointSlices = cachev1alpha1.Resource("clustercachedresourceendpointslices")
)

// cachedPlugin checks clustercachedresources: nobody shares what they may not read.
type cachedPlugin struct {
	*admission.Handler
	exports exports
}

var _ admission.ValidationInterface = &cachedPlugin{}

// Validate implements admission.ValidationInterface.
func (p *cachedPlugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	resource, ok := a.GetObject().(*cachev1alpha1.ClusterCachedResource)
	if !ok || !request.Is(a, cachedResources) {
		return nil
	}
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	if old, ok := a.GetOldObject().(*cachev1alpha1.ClusterCachedResource); ok {
		if apiequality.Semantic.DeepEqual(old.Spec, resource.Spec) {
			return nil
		}
	} else if err := p.first(ctx, cluster, resource); err != nil {
		return err
	}
	gvr := schema.GroupVersionResource{Group: resource.Spec.Group, Version: resource.Spec.Version, Resource: resource.Spec.Resource}
	for _, verb := range []string{"get", "list", "watch"} {
		allowed, err := request.Allowed(ctx, p.exports.Authorizer, a, cluster, cluster, verb, gvr, "")
		if err != nil {
			return apistatus.Internal(err)
		}
		if !allowed {
			return admission.NewForbidden(a, fmt.Errorf("only users who may %s all %s can share them", verb, gvr.GroupResource()))
		}
	}
	return nil
}

// first returns an error if another ClusterCachedResource of the workspace shares the same resource.
func (p *cachedPlugin) first(ctx context.Context, cluster logicalcluster.Name, resource *cachev1alpha1.ClusterCachedResource) error {
	all, err := client.List[cachev1alpha1.ClusterCachedResource](ctx, p.exports.Live, cachedResources, client.Scope{Cluster: cluster})
	if err != nil {
		return apistatus.Internal(err)
	}
	for _, other := range all {
		if other.Spec.GroupVersionResource == resource.Spec.GroupVersionResource && other.Name != resource.Name {
			return apierrors.NewInvalid(cachev1alpha1.SchemeGroupVersion.WithKind("ClusterCachedResource").GroupKind(), resource.Name, field.ErrorList{
				field.Invalid(field.NewPath("spec", "resource"), resource.Spec.Resource, fmt.Sprintf("ClusterCachedResource %q shares it", other.Name)),
			})
		}
	}
	return nil
}

// cachedSlicePlugin checks clustercachedresourceendpointslices. It checks only creation, because the references cannot change later.
type cachedSlicePlugin struct {
	*admission.Handler
	exports exports
}

var _ admission.ValidationInterface = &cachedSlicePlugin{}

// Validate implements admission.ValidationInterface. A slice makes the objects of one workspace readable for the consumers of an export in
// the same workspace, so its creator needs permission to bind both.
func (p *cachedSlicePlugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	slice, ok := a.GetObject().(*cachev1alpha1.ClusterCachedResourceEndpointSlice)
	if !ok || !request.Is(a, cachedEndpointSlices) {
		return nil
	}
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	refused := func(what, path, name string) error {
		if path == "" {
			path = cluster.String()
		}
		return admission.NewForbidden(a, fmt.Errorf("unable to create ClusterCachedResourceEndpointSlice: no permission to bind to %s %s:%s in the same workspace", what, path, name))
	}
	export, resource := slice.Spec.APIExport, slice.Spec.ClusterCachedResource
	provider, err := p.exports.resolve(ctx, cluster, export.Path)
	if err != nil {
		return err
	}
	if provider != cluster {
		return refused("export", export.Path, export.Name)
	}
	allowed, err := p.exports.mayBind(ctx, a, cluster, provider, export.Name)
	if err != nil {
		return err
	}
	if !allowed {
		return refused("export", export.Path, export.Name)
	}
	owner, err := p.exports.resolve(ctx, cluster, resource.Path)
	if err != nil {
		return err
	}
	if owner != cluster {
		return refused("ClusterCachedResource", resource.Path, resource.Name)
	}
	allowed, err = request.Allowed(ctx, p.exports.Authorizer, a, cluster, cluster, "bind", cachev1alpha1.SchemeGroupVersion.WithResource(cachedResources.Resource), resource.Name)
	if err != nil {
		return apistatus.Internal(err)
	}
	if !allowed {
		return refused("ClusterCachedResource", resource.Path, resource.Name)
	}
	return nil
}
