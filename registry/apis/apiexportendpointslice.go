package apis

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/schemas/validation"
)

func endpointSliceKind(external func() string) *kinds.Kind[apisv1alpha1.APIExportEndpointSlice, *apisv1alpha1.APIExportEndpointSlice] {
	return &kinds.Kind[apisv1alpha1.APIExportEndpointSlice, *apisv1alpha1.APIExportEndpointSlice]{
		Prepare: func(slice, _ *apisv1alpha1.APIExportEndpointSlice) {
			slice.Status.APIExportEndpoints = rewrite(slice.Status.APIExportEndpoints, group.EndpointPath)
		},
		ValidateCreate: validation.ValidateAPIExportEndpointSlice,
		ValidateUpdate: validation.ValidateAPIExportEndpointSliceUpdate,
		ValidateStatusUpdate: func(slice, old *apisv1alpha1.APIExportEndpointSlice) field.ErrorList {
			// What counts is what a user will see.
			shown := *slice
			render(&shown, external)
			return validation.ValidateAPIExportEndpointSliceStatusUpdate(&shown, old)
		},
		Render: func(slice *apisv1alpha1.APIExportEndpointSlice) { render(slice, external) },
	}
}

// render puts the address of the server before every path. The slice may be a shallow copy.
func render(slice *apisv1alpha1.APIExportEndpointSlice, external func() string) {
	slice.Status.APIExportEndpoints = rewrite(slice.Status.APIExportEndpoints, func(url string) string {
		return external() + group.EndpointPath(url)
	})
}

// rewrite returns a copy of endpoints with the URL of each replaced.
func rewrite(endpoints []apisv1alpha1.APIExportEndpoint, url func(string) string) []apisv1alpha1.APIExportEndpoint {
	endpoints = slices.Clone(endpoints)
	for i := range endpoints {
		endpoints[i].URL = url(endpoints[i].URL)
	}
	return endpoints
}
