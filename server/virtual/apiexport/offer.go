package apiexport

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/schemas/crd"
	"github.com/annex-dev/annex/server/virtual"
)

// resourceKey names what a schema looks like in a bucket, with one version of the rules by which its objects are converted. stored is the version in
// which objects are written if that is not the one of the schema.
type resourceKey struct{ schemaUID, identity, rules, stored string }

// isTyped reports whether gr of an export in cluster is served by typed storage: no workspace but root can export that.
func (e *Endpoint) isTyped(cluster logicalcluster.Name, gr schema.GroupResource) bool {
	return cluster == logicalcluster.Root && e.IsBound(gr)
}

// resource returns what export offers as gr; nil when it does not, when the schema that it names does not exist, or when consumers do not
// store its objects.
func (e *Endpoint) resource(ctx context.Context, endpoint virtual.Endpoint, export *apisv1alpha2.APIExport, gr schema.GroupResource) (*catalog.Resource, error) {
	for _, offered := range export.Spec.Resources {
		if offered.Group == gr.Group && offered.Name == gr.Resource {
			return e.offered(ctx, endpoint, export, offered)
		}
	}
	return nil, nil
}

// resourceFor returns resource, as export offers it, for writing in a consumer that has bound another schema of it, and the version in which the consumer
// stores objects. They are written in that one, since it is what the binding lists, and what every schema has to which the consumer moves; nil if
// the schema that the export names does not have it.
func (e *Endpoint) resourceFor(ctx context.Context, endpoint virtual.Endpoint, export *apisv1alpha2.APIExport, resource, bound *catalog.Resource) (*catalog.Resource, string, error) {
	own, err := apihelpers.GetCRDStorageVersion(resource.CRD)
	if err != nil {
		return nil, "", err
	}
	stored, err := apihelpers.GetCRDStorageVersion(bound.CRD)
	if err != nil || stored == own {
		return resource, stored, err
	}
	gr := resource.GroupResource()
	for _, offered := range export.Spec.Resources {
		if offered.Group == gr.Group && offered.Name == gr.Resource {
			resource, err = e.describedAs(ctx, endpoint, export, offered, stored)
			return resource, stored, err
		}
	}
	return nil, stored, nil
}

func (e *Endpoint) offered(ctx context.Context, endpoint virtual.Endpoint, export *apisv1alpha2.APIExport, offered apisv1alpha2.ResourceSchema) (*catalog.Resource, error) {
	if offered.Storage.Virtual != nil {
		return nil, nil
	}
	return e.described(ctx, endpoint, export, offered)
}

// described returns what the schema of an offered resource describes; nil if it does not exist.
func (e *Endpoint) described(ctx context.Context, endpoint virtual.Endpoint, export *apisv1alpha2.APIExport, offered apisv1alpha2.ResourceSchema) (*catalog.Resource, error) {
	return e.describedAs(ctx, endpoint, export, offered, "")
}

// describedAs is like described, but the resource writes objects in the version stored, if it is not empty; nil if the schema does not have it.
func (e *Endpoint) describedAs(ctx context.Context, endpoint virtual.Endpoint, export *apisv1alpha2.APIExport, offered apisv1alpha2.ResourceSchema, stored string) (*catalog.Resource, error) {
	key := client.Key{Cluster: endpoint.Cluster, Name: offered.Schema}
	source, err := client.FindNow[apisv1alpha1.APIResourceSchema](ctx, e.Cached, e.Live, schemas, key)
	if source == nil || err != nil {
		return nil, err
	}
	if source.Spec.Group != offered.Group || source.Spec.Names.Plural != offered.Name {
		return nil, nil
	}
	var rules *apisv1alpha1.APIConversion
	if crd.Converts(source) {
		if rules, err = client.Find[apisv1alpha1.APIConversion](ctx, e.Cached, conversions, key); err != nil {
			return nil, fmt.Errorf("reading APIConversion %s: %w", key, err)
		}
	}
	kept := resourceKey{schemaUID: string(source.UID), identity: export.Status.IdentityHash, stored: stored}
	if rules != nil {
		kept.rules = string(rules.UID) + "/" + rules.ResourceVersion
	}
	if known, ok := e.resources.Get(kept); ok {
		return known, nil
	}
	definition, err := crd.FromSchema(source)
	if err != nil {
		return nil, fmt.Errorf("reading APIResourceSchema %s: %w", key, err)
	}
	if err := crd.SetConversion(definition, rules); err != nil {
		return nil, err
	}
	if stored != "" && !store(definition, stored) {
		return nil, nil
	}
	for i := range definition.Spec.Versions {
		if subresources := definition.Spec.Versions[i].Subresources; subresources != nil {
			// Scaling is the consumer's affair.
			subresources.Scale = nil
			if subresources.Status == nil {
				definition.Spec.Versions[i].Subresources = nil
			}
		}
	}
	resource, err := e.Definitions.ResourceOf(definition, export.Status.IdentityHash)
	if err != nil {
		return nil, fmt.Errorf("preparing the schema of %s.%s: %w", offered.Name, offered.Group, err)
	}
	e.resources.Put(kept, resource, resourceFactor*int64(resource.CRD.Size()), key.Cluster.String())
	return resource, nil
}

// store has objects of definition stored in a version. It reports whether there is such a version.
func store(definition *apiextensionsv1.CustomResourceDefinition, version string) bool {
	found := false
	for i := range definition.Spec.Versions {
		v := &definition.Spec.Versions[i]
		v.Storage = v.Name == version
		found = found || v.Storage
	}
	return found
}

// snapshot returns everything that the virtual workspace of export shows.
func (e *Endpoint) snapshot(ctx context.Context, endpoint virtual.Endpoint, export *apisv1alpha2.APIExport) (*catalog.Snapshot, error) {
	shown, err := e.claimsShown(ctx, endpoint, export)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(shown, func(r *catalog.Resource) bool { return r.GroupResource() == bindings })
	if i < 0 {
		i, shown = len(shown), append(shown, typed(bindings))
	}
	for _, verb := range readVerbs {
		if !slices.Contains(shown[i].Verbs, verb) {
			shown[i].Verbs = append(shown[i].Verbs, verb)
		}
	}
	for _, offered := range export.Spec.Resources {
		gr := schema.GroupResource{Group: offered.Group, Resource: offered.Name}
		if gr == bindings {
			continue
		}
		if e.isTyped(endpoint.Cluster, gr) {
			shown = append(shown, typed(gr))
			continue
		}
		resource, err := e.offered(ctx, endpoint, export, offered)
		if err != nil {
			return nil, err
		}
		if resource != nil {
			shown = append(shown, resource)
		}
	}
	return catalog.NewSnapshot(shown...), nil
}
