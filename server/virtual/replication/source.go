package replication

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	cachev1alpha1 "github.com/annex-dev/annex/apis/cache/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/cachekcp"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/serve"
)

var (
	exports        = apisv1alpha2.Resource("apiexports")
	schemas        = apisv1alpha2.Resource("apiresourceschemas")
	endpointSlices = cachev1alpha1.Resource("clustercachedresourceendpointslices")
	cached         = cachev1alpha1.Resource("clustercachedresources")
)

// source is where the objects of a bound resource are, and which of them the consumer may read.
type source struct {
	// provider is the cluster of the objects, and bucket where they are stored there.
	provider logicalcluster.Name
	bucket   string
	selector labels.Selector
	// since is the newest resourceVersion of what the selection follows from.
	since uint64
}

// same reports whether two sources show the same objects.
func (s *source) same(other *source) bool {
	return s.provider == other.provider && s.bucket == other.bucket && s.selector.String() == other.selector.String()
}

// unavailable is the answer while a provider does not offer what a consumer has bound. It is temporary for a client: the provider can mend it.
func unavailable(format string, args ...any) error {
	return apierrors.NewServiceUnavailable("the provider of the resource does not serve it now: " + fmt.Sprintf(format, args...))
}

// sourceOf returns where the objects of served are, which a cluster has bound. Errors are API statuses.
func (e *Endpoint) sourceOf(ctx context.Context, served *catalog.Served) (*source, error) {
	gr := served.GroupResource()
	export, err := client.FindNow[apisv1alpha2.APIExport](ctx, e.Cached, e.Live, exports, served.Source.Export)
	if err != nil {
		return nil, apistatus.Internal(err)
	}
	virtual := offered(export, gr)
	if virtual == nil || !apisv1alpha2.IsCached(&virtual.Reference) {
		return nil, unavailable("the APIExport does not offer %s", gr)
	}
	provider := served.Source.Export.Cluster
	if e.Inactive(provider) {
		return nil, unavailable("its workspace is inactive")
	}
	slice, resource, err := e.sharedBy(ctx, client.Key{Cluster: provider, Name: virtual.Reference.Name})
	if err != nil {
		return nil, err
	}
	names, err := e.names(ctx, provider, slice.Spec.APIExport.Path)
	if err != nil {
		return nil, err
	}
	switch {
	case !names || slice.Spec.APIExport.Name != export.Name:
		return nil, unavailable("the ClusterCachedResourceEndpointSlice is for another APIExport")
	case resource.Spec.Group != gr.Group || resource.Spec.Resource != gr.Resource:
		return nil, unavailable("the ClusterCachedResource is for another resource")
	case virtual.IdentityHash == "" || resource.Status.IdentityHash != virtual.IdentityHash:
		return nil, unavailable("the ClusterCachedResource has another identity than the APIExport says")
	}
	stored, err := e.stored(ctx, provider, gr)
	if err != nil {
		return nil, err
	}
	if err := fits(served.Resource, stored.Resource); err != nil {
		return nil, unavailable("%v", err)
	}
	selector, err := cachekcp.SelectorOf(resource)
	if err != nil {
		return nil, apistatus.Internal(err)
	}
	since, err := newest(export, slice, resource)
	if err != nil {
		return nil, apistatus.Internal(err)
	}
	return &source{provider: provider, bucket: stored.Bucket, selector: selector, since: since}, nil
}

// offered returns the virtual storage of gr in export, which may be nil; nil if there is none.
func offered(export *apisv1alpha2.APIExport, gr schema.GroupResource) *apisv1alpha2.ResourceSchemaStorageVirtual {
	if export == nil || export.DeletionTimestamp != nil {
		return nil
	}
	for _, resource := range export.Spec.Resources {
		if resource.Group == gr.Group && resource.Name == gr.Resource {
			return resource.Storage.Virtual
		}
	}
	return nil
}

// sharedBy returns the slice called key and its ClusterCachedResource, which is ready.
func (e *Endpoint) sharedBy(ctx context.Context, key client.Key) (*cachev1alpha1.ClusterCachedResourceEndpointSlice, *cachev1alpha1.ClusterCachedResource, error) {
	slice, err := client.FindNow[cachev1alpha1.ClusterCachedResourceEndpointSlice](ctx, e.Cached, e.Live, endpointSlices, key)
	if err != nil {
		return nil, nil, apistatus.Internal(err)
	}
	if slice == nil || slice.DeletionTimestamp != nil {
		return nil, nil, unavailable("its ClusterCachedResourceEndpointSlice does not exist")
	}
	here, err := e.names(ctx, key.Cluster, slice.Spec.ClusterCachedResource.Path)
	if err != nil {
		return nil, nil, err
	}
	if !here {
		return nil, nil, unavailable("its ClusterCachedResource is in another workspace")
	}
	resource, err := client.FindNow[cachev1alpha1.ClusterCachedResource](ctx, e.Cached, e.Live, cached, client.Key{Cluster: key.Cluster, Name: slice.Spec.ClusterCachedResource.Name})
	if err != nil {
		return nil, nil, apistatus.Internal(err)
	}
	if resource == nil || resource.DeletionTimestamp != nil || resource.Status.Phase != cachev1alpha1.ClusterCachedResourcePhaseReady {
		return nil, nil, unavailable("its ClusterCachedResource is not ready")
	}
	return slice, resource, nil
}

// names reports whether path, written in an object of cluster, leads to that cluster itself.
func (e *Endpoint) names(ctx context.Context, cluster logicalcluster.Name, path string) (bool, error) {
	if path == "" {
		return true, nil
	}
	found, ok, err := e.Resolver.Resolve(ctx, logicalcluster.Path(path))
	if err != nil {
		return false, apistatus.Internal(fmt.Errorf("finding the workspace %q: %w", path, err))
	}
	return ok && found == cluster, nil
}

// stored returns what the provider serves as gr from its own storage.
func (e *Endpoint) stored(ctx context.Context, provider logicalcluster.Name, gr schema.GroupResource) (*catalog.Served, error) {
	served, err := serve.Lookup(ctx, e.Catalog, provider, gr, nil)
	switch {
	case err != nil:
		return nil, apistatus.Internal(err)
	case served == nil:
		return nil, unavailable("its workspace does not serve %s", gr)
	}
	if err := Shareable(served); err != nil {
		return nil, unavailable("%v", err)
	}
	return served, nil
}

// Shareable returns nil if objects of a resource that a workspace serves can be shared with others, or why they cannot.
func Shareable(served *catalog.Served) error {
	switch gr := served.GroupResource(); {
	case served.Typed:
		return fmt.Errorf("%s is one of the server's own resources", gr)
	case served.Virtual:
		return fmt.Errorf("objects of %s are not stored in the workspace", gr)
	case served.Namespaced:
		return fmt.Errorf("objects of %s are in namespaces", gr)
	case served.CRD.Spec.Conversion != nil && served.CRD.Spec.Conversion.Strategy == apiextensionsv1.WebhookConverter:
		return fmt.Errorf("a webhook converts objects of %s", gr)
	case served.Source.Limited:
		return fmt.Errorf("%s is from an APIExport with a maximal permission policy", gr)
	}
	return nil
}

// fits returns nil if bound, the resource of a consumer, can show objects that are stored as those of stored.
func fits(bound, stored *catalog.Resource) error {
	if bound.Namespaced {
		return fmt.Errorf("the APIResourceSchema of %s is for objects in namespaces", bound.GroupResource())
	}
	if bound.Kind != stored.Kind {
		return fmt.Errorf("the APIResourceSchema has kind %s, but the workspace of the provider serves kind %s", bound.Kind, stored.Kind)
	}
	for _, v := range stored.CRD.Spec.Versions {
		if v.Storage && !slices.ContainsFunc(bound.CRD.Spec.Versions, func(b apiextensionsv1.CustomResourceDefinitionVersion) bool { return b.Name == v.Name }) {
			return fmt.Errorf("the APIResourceSchema does not have version %s, in which objects are stored", v.Name)
		}
	}
	return nil
}

// newest returns the greatest resourceVersion of objects.
func newest(objects ...metav1.Object) (uint64, error) {
	var greatest uint64
	for _, obj := range objects {
		version, err := strconv.ParseUint(obj.GetResourceVersion(), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading the resourceVersion of %s: %w", obj.GetName(), err)
		}
		greatest = max(greatest, version)
	}
	return greatest, nil
}
