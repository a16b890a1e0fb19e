package elsewhere

import (
	"context"
	"fmt"
	"net/url"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/apis/endpoints"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/server/apistatus"
)

var (
	exports = apisv1alpha2.Resource("apiexports")
	shards  = corev1alpha1.Resource("shards")
)

// rootShard is the name of the only shard.
const rootShard = "root"

// source is where the objects of a bound resource are.
type source struct {
	target *url.URL
	// slices is the resource of the object that lists the endpoint.
	slices schema.GroupResource
}

// unavailable is the answer while a provider does not offer what a consumer has bound. It is temporary for a client: the provider can mend it.
func unavailable(format string, args ...any) error {
	return apierrors.NewServiceUnavailable("the provider of the resource does not serve it now: " + fmt.Sprintf(format, args...))
}

// sourceOf returns where the objects of served are, which a cluster has bound. Errors are API statuses.
func (e *Endpoint) sourceOf(ctx context.Context, served *catalog.Served) (*source, error) {
	gr, provider := served.GroupResource(), served.Source.Export.Cluster
	if e.Forwarder == nil {
		return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("%s is served by another server, and the operator of this one does not allow requests to others", gr))
	}
	export, err := client.FindNow[apisv1alpha2.APIExport](ctx, e.Cached, e.Live, exports, served.Source.Export)
	if err != nil {
		return nil, apistatus.Internal(err)
	}
	reference := offered(export, gr)
	if reference == nil || apisv1alpha2.IsCached(reference) {
		return nil, unavailable("the APIExport does not offer %s", gr)
	}
	if e.Inactive(provider) {
		return nil, unavailable("its workspace is inactive")
	}
	slice, slices, err := client.FindReferred(ctx, e.Content, provider, reference, false)
	if err == nil && slice == nil {
		slice, slices, err = client.FindReferred(ctx, e.Content, provider, reference, true)
	}
	if err != nil {
		return nil, apistatus.Internal(err)
	}
	if slice == nil {
		return nil, unavailable("its %s does not exist", reference.Kind)
	}
	shard, err := client.Find[corev1alpha1.Shard](ctx, e.Cached, shards, client.Key{Cluster: logicalcluster.Root, Name: rootShard})
	if err != nil {
		return nil, apistatus.Internal(err)
	}
	if shard == nil {
		return nil, apierrors.NewServiceUnavailable("the shard is not known yet")
	}
	target, err := endpoints.Choose(slice, shard.Labels)
	if err != nil {
		return nil, unavailable("its %s: %v", reference.Kind, err)
	}
	return &source{target: target, slices: slices}, nil
}

// offered returns what the virtual storage of gr in export, which may be nil, refers to; nil if there is none.
func offered(export *apisv1alpha2.APIExport, gr schema.GroupResource) *corev1.TypedLocalObjectReference {
	if export == nil || export.DeletionTimestamp != nil {
		return nil
	}
	for i := range export.Spec.Resources {
		if resource := &export.Spec.Resources[i]; resource.Group == gr.Group && resource.Name == gr.Resource && resource.Storage.Virtual != nil {
			return &resource.Storage.Virtual.Reference
		}
	}
	return nil
}
