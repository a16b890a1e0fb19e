package cachekcp

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"

	cachev1alpha1 "github.com/annex-dev/annex/apis/cache/v1alpha1"
	"github.com/annex-dev/annex/apis/cache/validation"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
)

const resources = "clustercachedresources"

// NewGroup returns the storage of the group. external returns the address of the virtual workspaces as users see it, without a slash at
// the end. The error says which store could not be set up.
func NewGroup(s *kinds.Scheme, getter generic.RESTOptionsGetter, external func() string) (*group.Group, error) {
	return kinds.NewGroup(cachev1alpha1.GroupName, s, getter, resourceKind(), endpointSliceKind(external))
}

// ServeCounts has g, which NewGroup returned, show how many objects ClusterCachedResources select. It is called before g is served.
func ServeCounts(g *group.Group, count Counter) {
	served := g.Versions[cachev1alpha1.SchemeGroupVersion.Version]
	if storage, ok := served[resources].(*kinds.REST); ok {
		served[resources] = &resourceREST{REST: storage, count: count}
	}
}

func resourceKind() *kinds.Kind[cachev1alpha1.ClusterCachedResource, *cachev1alpha1.ClusterCachedResource] {
	return &kinds.Kind[cachev1alpha1.ClusterCachedResource, *cachev1alpha1.ClusterCachedResource]{
		// Counted when somebody asks.
		Prepare:              func(r, _ *cachev1alpha1.ClusterCachedResource) { r.Status.ResourceCounts = nil },
		ValidateCreate:       validation.ValidateClusterCachedResource,
		ValidateUpdate:       validation.ValidateClusterCachedResourceUpdate,
		ValidateStatusUpdate: validation.ValidateClusterCachedResourceStatusUpdate,
	}
}

// endpointSliceKind is the kind of slices. Their addresses are stored as paths, as those of APIExportEndpointSlices are.
func endpointSliceKind(external func() string) *kinds.Kind[cachev1alpha1.ClusterCachedResourceEndpointSlice, *cachev1alpha1.ClusterCachedResourceEndpointSlice] {
	return &kinds.Kind[cachev1alpha1.ClusterCachedResourceEndpointSlice, *cachev1alpha1.ClusterCachedResourceEndpointSlice]{
		Prepare: func(slice, _ *cachev1alpha1.ClusterCachedResourceEndpointSlice) {
			slice.Status.Endpoints = rewrite(slice.Status.Endpoints, group.EndpointPath)
		},
		ValidateCreate: validation.ValidateClusterCachedResourceEndpointSlice,
		ValidateUpdate: validation.ValidateClusterCachedResourceEndpointSliceUpdate,
		ValidateStatusUpdate: func(slice, old *cachev1alpha1.ClusterCachedResourceEndpointSlice) field.ErrorList {
			shown := *slice // what a user will see
			render(&shown, external)
			return validation.ValidateClusterCachedResourceEndpointSliceStatusUpdate(&shown, old)
		},
		Render: func(slice *cachev1alpha1.ClusterCachedResourceEndpointSlice) { render(slice, external) },
	}
}

func render(slice *cachev1alpha1.ClusterCachedResourceEndpointSlice, external func() string) {
	slice.Status.Endpoints = rewrite(slice.Status.Endpoints, func(url string) string { return external() + group.EndpointPath(url) })
}

// rewrite returns a copy of endpoints with what url makes of each URL.
func rewrite(endpoints []cachev1alpha1.ClusterCachedResourceEndpoint, url func(string) string) []cachev1alpha1.ClusterCachedResourceEndpoint {
	endpoints = slices.Clone(endpoints)
	for i := range endpoints {
		endpoints[i].URL = url(endpoints[i].URL)
	}
	return endpoints
}
