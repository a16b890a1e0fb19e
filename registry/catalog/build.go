package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/apis/lifecycle"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

var (
	definitionsResource = schema.GroupResource{Group: apiextensionsv1.GroupName, Resource: "customresourcedefinitions"}
	bindingsResource    = schema.GroupResource{Group: apisv1alpha2.GroupName, Resource: "apibindings"}
)

// build computes the snapshot of cluster from what from returns now.
func (c *Catalog) build(ctx context.Context, from client.Reader, cluster logicalcluster.Name) (*Snapshot, error) {
	b := &builder{catalog: c, from: from, resources: map[schema.GroupResource]*Resource{}, owners: owners{}}
	if err := b.bound(ctx, cluster); err != nil {
		return nil, err
	}
	if cluster != logicalcluster.SystemBoundCRDs {
		if err := b.local(ctx, cluster); err != nil {
			return nil, err
		}
	}
	return c.share(b), nil
}

type builder struct {
	catalog   *Catalog
	from      client.Reader
	resources map[schema.GroupResource]*Resource
	owners    owners
}

// bound adds what the APIBindings of cluster bind.
func (b *builder) bound(ctx context.Context, cluster logicalcluster.Name) error {
	bindings, err := client.List[apisv1alpha2.APIBinding](ctx, b.from, bindingsResource, client.Scope{Cluster: cluster})
	if err != nil {
		return err
	}
	// While one binding takes a resource over from another that is being deleted, the one that stays counts.
	slices.SortStableFunc(bindings, func(x, y *apisv1alpha2.APIBinding) int {
		if terminating := x.DeletionTimestamp != nil; terminating != (y.DeletionTimestamp != nil) {
			if terminating {
				return 1
			}
			return -1
		}
		return strings.Compare(x.Name, y.Name)
	})
	for _, binding := range bindings {
		by := &owner{uid: binding.UID, source: sourceOf(binding)}
		for _, resource := range binding.Status.BoundResources {
			gr := schema.GroupResource{Group: resource.Group, Resource: resource.Resource}
			if _, taken := b.resources[gr]; taken || b.catalog.builtin(gr) {
				continue
			}
			r, err := b.resolve(ctx, gr, resource.Schema.UID, resource.Schema.IdentityHash)
			if err != nil {
				return err
			}
			if r == nil {
				continue
			}
			r.Binding, r.Terminating = binding.Name, binding.DeletionTimestamp != nil || lifecycle.IsLeaving(binding.Annotations, gr)
			if resource.Virtual != nil {
				r.Virtual, r.Verbs, r.Bucket = true, verbsOf(resource.Virtual), ""
			}
			b.resources[gr], b.owners[gr] = r, by
		}
	}
	return nil
}

// verbsOf returns what is served of a resource whose objects the endpoints of reference serve; nil if they decide.
func verbsOf(reference *corev1.TypedLocalObjectReference) []string {
	if apisv1alpha2.IsCached(reference) {
		return []string{"get", "list", "watch"}
	}
	return nil
}

// sourceOf returns where binding has its resources from. Only the server writes its status and this annotation.
func sourceOf(binding *apisv1alpha2.APIBinding) Source {
	source := Source{Limited: binding.Annotations[apisv1alpha2.LimitedBindingAnnotationKey] != ""}
	if export := binding.Spec.Reference.Export; export != nil {
		source.Export = client.Key{Cluster: logicalcluster.Name(binding.Status.APIExportClusterName), Name: export.Name}
	}
	return source
}

// resolve returns a resource of its own for the bound schema, nil while its definition is not there.
func (b *builder) resolve(ctx context.Context, gr schema.GroupResource, uid, identity string) (*Resource, error) {
	if b.catalog.isBound(gr) {
		return &Resource{Group: gr.Group, Plural: gr.Resource, Hash: "typed", Bucket: identity, SchemaUID: uid, Typed: true}, nil
	}
	found, err := b.catalog.boundDefinition(ctx, b.from, uid)
	if err != nil || found.definition == nil {
		return nil, err
	}
	r := fromDefinition(found.definition)
	if r.GroupResource() != gr {
		return nil, fmt.Errorf("the CustomResourceDefinition of schema %q in %s is for %s, not for %s", uid, logicalcluster.SystemBoundCRDs, r.GroupResource(), gr)
	}
	r.Bucket, r.SchemaUID, r.Provider = identity, uid, found.provider
	return r, nil
}

// local adds the established CustomResourceDefinitions of cluster. Once established a definition stays so, under the names
// that were accepted, even when names that it asks for later are in conflict.
func (b *builder) local(ctx context.Context, cluster logicalcluster.Name) error {
	found, err := b.catalog.established(ctx, b.from, cluster)
	if err != nil {
		return err
	}
	for _, e := range found {
		r := fromDefinition(e.definition)
		gr := r.GroupResource()
		if _, taken := b.resources[gr]; taken || b.catalog.builtin(gr) {
			continue
		}
		r.Bucket, r.Terminating = LocalBucket, e.terminating
		b.resources[gr], b.owners[gr] = r, &owner{uid: e.uid}
	}
	return nil
}

// fromDefinition returns a resource of its own for an interned definition.
func fromDefinition(definition *apiextensionsv1.CustomResourceDefinition) *Resource {
	names := &definition.Status.AcceptedNames
	return &Resource{
		Group:      definition.Spec.Group,
		Plural:     names.Plural,
		Singular:   names.Singular,
		Kind:       names.Kind,
		ListKind:   names.ListKind,
		ShortNames: names.ShortNames,
		Categories: names.Categories,
		Namespaced: definition.Spec.Scope == apiextensionsv1.NamespaceScoped,
		CRD:        definition,
		Hash:       string(definition.UID),
	}
}

func providerOf(crd *apiextensionsv1.CustomResourceDefinition) logicalcluster.Name {
	return logicalcluster.Name(crd.Annotations[apisv1alpha2.AnnotationSchemaClusterKey])
}

// bound is an interned definition, and the cluster of the schema that it was made of.
type bound struct {
	definition *apiextensionsv1.CustomResourceDefinition
	provider   logicalcluster.Name
}

// boundDefinition returns the definition of the bound schema uid; none when there is none.
func (c *Catalog) boundDefinition(ctx context.Context, from client.Reader, uid string) (bound, error) {
	crd, err := client.Find[apiextensionsv1.CustomResourceDefinition](ctx, from, definitionsResource, client.Key{Cluster: logicalcluster.SystemBoundCRDs, Name: uid})
	if err != nil || crd == nil {
		return bound{}, err
	}
	provider := providerOf(crd)
	e, err := c.stored(crd, provider)
	return bound{e.definition, provider}, err
}

// asStored returns crd with the defaults and in the spelling that it gets on its way to storage and back.
func asStored(crd *apiextensionsv1.CustomResourceDefinition) (*apiextensionsv1.CustomResourceDefinition, error) {
	in, internal, out := crd.DeepCopy(), &apiextensions.CustomResourceDefinition{}, &apiextensionsv1.CustomResourceDefinition{}
	apiextensionsv1.SetObjectDefaults_CustomResourceDefinition(in)
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(in, internal, nil); err != nil {
		return nil, fmt.Errorf("converting CustomResourceDefinition %q: %w", crd.Name, err)
	}
	if err := apiextensionsv1.Convert_apiextensions_CustomResourceDefinition_To_v1_CustomResourceDefinition(internal, out, nil); err != nil {
		return nil, fmt.Errorf("converting CustomResourceDefinition %q: %w", crd.Name, err)
	}
	return out, nil
}

// share returns the snapshot of what b collected, most of it shared with all clusters that have the same.
func (c *Catalog) share(b *builder) *Snapshot {
	all := newDigest()
	resources := make([]*Resource, 0, len(b.resources))
	identities := make([]string, 0, len(b.resources))
	for _, r := range b.resources {
		identity := r.identity()
		identities = append(identities, identity)
		resources = append(resources, c.resources.GetOrPut(identity, func() *Resource { return r }))
	}
	slices.Sort(identities)
	all.add(identities...)
	return &Snapshot{content: c.contents.GetOrPut(all.sum(), func() *content { return newContent(resources) }), owners: b.owners}
}
