package cachedresource

import (
	"context"
	"fmt"
	"slices"

	apiextensionshelpers "k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	cachev1alpha1 "github.com/annex-dev/annex/apis/cache/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// check returns why objects of the resource cannot be shared, as the reason and the message of a condition; empty if they can.
func (r *reconciler) check(ctx context.Context, cluster logicalcluster.Name, resource *cachev1alpha1.ClusterCachedResource) (reason, message string, err error) {
	gr := sharedBy(resource)
	unsupported := func(format string, args ...any) (string, string, error) {
		return cachev1alpha1.ResourceNotSupportedReason, fmt.Sprintf(format, args...), nil
	}
	missing := func(format string, args ...any) (string, string, error) {
		return cachev1alpha1.ResourceNotFoundReason, fmt.Sprintf(format, args...), nil
	}
	binding, bound, err := r.bound(ctx, cluster, gr)
	if err != nil {
		return "", "", err
	}
	var definition *apiextensionsv1.CustomResourceDefinition
	switch {
	case bound == nil:
		definition, err = client.Find[apiextensionsv1.CustomResourceDefinition](ctx, r.client, definitions, client.Key{Cluster: cluster, Name: gr.String()})
		if definition != nil && !apiextensionshelpers.IsCRDConditionTrue(definition, apiextensionsv1.Established) {
			definition = nil
		}
	case bound.Virtual != nil:
		return unsupported("objects of %s are not stored in the workspace", gr)
	case binding.Annotations[apisv1alpha2.LimitedBindingAnnotationKey] != "":
		return unsupported("%s is from an APIExport with a maximal permission policy", gr)
	case r.isBound != nil && r.isBound(gr):
		return unsupported("%s is one of the server's own resources", gr)
	default:
		definition, err = client.Find[apiextensionsv1.CustomResourceDefinition](ctx, r.client, definitions, client.Key{Cluster: logicalcluster.SystemBoundCRDs, Name: bound.Schema.UID})
	}
	switch {
	case err != nil:
		return "", "", err
	case definition == nil:
		return missing("the workspace does not serve %s", gr)
	case definition.Spec.Scope != apiextensionsv1.ClusterScoped:
		return unsupported("objects of %s are in namespaces", gr)
	case definition.Spec.Conversion != nil && definition.Spec.Conversion.Strategy == apiextensionsv1.WebhookConverter:
		return unsupported("a webhook converts objects of %s", gr)
	case !slices.ContainsFunc(definition.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
		return v.Served && v.Name == resource.Spec.Version
	}):
		return missing("the workspace does not serve %s in version %s", gr, resource.Spec.Version)
	}
	return "", "", nil
}

// bound returns what cluster has bound as gr, and the binding; nil if it has not.
func (r *reconciler) bound(ctx context.Context, cluster logicalcluster.Name, gr schema.GroupResource) (*apisv1alpha2.APIBinding, *apisv1alpha2.BoundAPIResource, error) {
	all, err := client.List[apisv1alpha2.APIBinding](ctx, r.client, bindings, client.Scope{Cluster: cluster})
	if err != nil {
		return nil, nil, err
	}
	for _, binding := range all {
		if bound := boundAs(binding, gr); bound != nil {
			return binding, bound, nil
		}
	}
	return nil, nil, nil
}

// boundAs returns what binding has bound as gr; nil for nothing.
func boundAs(binding *apisv1alpha2.APIBinding, gr schema.GroupResource) *apisv1alpha2.BoundAPIResource {
	for i, bound := range binding.Status.BoundResources {
		if bound.Group == gr.Group && bound.Resource == gr.Resource {
			return &binding.Status.BoundResources[i]
		}
	}
	return nil
}
