package apiexport

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server/virtual"
)

var (
	exports     = apisv1alpha2.Resource("apiexports")
	bindings    = apisv1alpha2.Resource("apibindings")
	schemas     = apisv1alpha1.Resource("apiresourceschemas")
	conversions = apisv1alpha1.Resource("apiconversions")
)

// consumption is how a consumer uses a resource of an export.
type consumption struct {
	// any says that some binding to the export exists; bound that one of them has bound the resource.
	any, bound bool
	// terminating says that the binding is being deleted.
	terminating bool
	// owner is the binding, and schema the UID of what it has bound.
	owner  storage.Owner
	schema string
}

// shares reports whether a request of the provider for gr in consumer may go on: consumer has bound gr from the export, has
// accepted a claim on gr for the verb, or has a binding to the export, and gr is something that the export neither offers nor claims, which is
// answered as not found later on.
func (e *Endpoint) shares(ctx context.Context, consumer logicalcluster.Name, endpoint virtual.Endpoint, gr schema.GroupResource, verb string) (bool, error) {
	export, err := e.export(ctx, endpoint)
	if err != nil || export == nil {
		return false, err
	}
	if claimed, _ := claimsOn(export, gr, verb); claimed {
		g, err := e.grantOf(ctx, consumer, endpoint, export, gr, verb)
		return g.granted() || g.bound && gr == bindings && slices.Contains(readVerbs, verb), err
	}
	use, err := e.consumptionOf(ctx, consumer, endpoint, export, gr)
	if err != nil || use.bound || !use.any {
		return use.bound, err
	}
	return gr == bindings || !offers(export, gr), nil
}

// consumptionOf returns how consumer uses gr of export. Before it says not at all it looks past the watch caches.
func (e *Endpoint) consumptionOf(ctx context.Context, consumer logicalcluster.Name, endpoint virtual.Endpoint, export *apisv1alpha2.APIExport,
	gr schema.GroupResource) (consumption, error) {
	var use consumption
	err := client.LookTwice(e.Cached, e.Live, func(from client.Reader) (enough bool, err error) {
		all, err := client.List[apisv1alpha2.APIBinding](ctx, from, bindings, client.Scope{Cluster: consumer})
		if err != nil {
			return false, err
		}
		use = consumption{}
		for _, binding := range all {
			if !isTo(binding, endpoint) {
				continue
			}
			use.any = true
			if bound := binds(binding, export, gr); bound != nil && (!use.bound || use.terminating) {
				use.bound, use.terminating = true, binding.DeletionTimestamp != nil
				use.owner, use.schema = storage.Owner{Resource: bindings, Name: binding.Name, UID: binding.UID}, bound.Schema.UID
			}
		}
		return use.bound || (use.any && !offers(export, gr)), nil
	})
	if err != nil {
		return consumption{}, err
	}
	return use, nil
}

// isTo reports whether binding refers to the export of endpoint.
func isTo(binding *apisv1alpha2.APIBinding, endpoint virtual.Endpoint) bool {
	reference := binding.Spec.Reference.Export
	return reference != nil && reference.Name == endpoint.Name && binding.Status.APIExportClusterName == string(endpoint.Cluster)
}

// binds returns what binding has bound as gr under the identity of export; nil for nothing.
func binds(binding *apisv1alpha2.APIBinding, export *apisv1alpha2.APIExport, gr schema.GroupResource) *apisv1alpha2.BoundAPIResource {
	for i, bound := range binding.Status.BoundResources {
		if bound.Group == gr.Group && bound.Resource == gr.Resource && bound.Schema.IdentityHash != "" && bound.Schema.IdentityHash == export.Status.IdentityHash {
			return &binding.Status.BoundResources[i]
		}
	}
	return nil
}

// offers reports whether gr is one of the resources of export.
func offers(export *apisv1alpha2.APIExport, gr schema.GroupResource) bool {
	for _, resource := range export.Spec.Resources {
		if resource.Group == gr.Group && resource.Name == gr.Resource {
			return true
		}
	}
	return false
}

// export returns the export of endpoint; nil when it does not exist, even on a second look past the watch caches.
func (e *Endpoint) export(ctx context.Context, endpoint virtual.Endpoint) (*apisv1alpha2.APIExport, error) {
	return client.FindNow[apisv1alpha2.APIExport](ctx, e.Cached, e.Live, exports, client.Key{Cluster: endpoint.Cluster, Name: endpoint.Name})
}
