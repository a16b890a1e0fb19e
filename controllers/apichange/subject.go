package apichange

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/schemas/change"
	"github.com/annex-dev/annex/schemas/crd"
	"github.com/annex-dev/annex/schemas/fit"
)

// fault is why a report cannot be made.
type fault struct{ reason, message string }

func faultf(reason, format string, args ...any) *fault {
	return &fault{reason, fmt.Sprintf(format, args...)}
}

// subject is what a report is about.
type subject struct {
	identity  string
	resources map[schema.GroupResource]*replacement
	order     []schema.GroupResource // of resources
	// consumers are the clusters that have bound one of the resources, in order.
	consumers []consumer
}

// replacement is a schema that would replace another one.
type replacement struct {
	schema     string // its name
	definition *apiextensionsv1.CustomResourceDefinition
	checker    *fit.Checker
}

// consumer is a workspace that has bound a resource.
type consumer struct {
	cluster logicalcluster.Name
	// behind is whether the workspace could not follow.
	behind bool
}

// resolve returns what a report is about, and the changes; or the fault.
func (r *reconciler) resolve(ctx context.Context, report *annexv1alpha1.APIChangeReport) (*subject, []annexv1alpha1.APIChange, *fault, error) {
	cluster := logicalcluster.From(report)
	export, err := client.FindNow[apisv1alpha2.APIExport](ctx, r.Client, r.Live, exports, client.Key{Cluster: cluster, Name: report.Spec.Export})
	if err != nil {
		return nil, nil, nil, err
	}
	if export == nil {
		return nil, nil, faultf(annexv1alpha1.APIExportNotFoundReason, "there is no APIExport %q in this workspace", report.Spec.Export), nil
	}
	if export.Status.IdentityHash == "" {
		return nil, nil, faultf(annexv1alpha1.MissingIdentityHashReason, "APIExport %q has no identity yet", export.Name), nil
	}
	s := &subject{identity: export.Status.IdentityHash, resources: map[schema.GroupResource]*replacement{}}
	var changes []annexv1alpha1.APIChange
	for _, name := range report.Spec.Schemas {
		found, fault, err := r.replace(ctx, export, name, s)
		if fault != nil || err != nil {
			return nil, nil, fault, err
		}
		changes = append(changes, found...)
	}
	s.consumers, err = r.consumersOf(ctx, export, s)
	return s, changes, nil, err
}

// replace adds the replacement called name to s, and returns the breaking changes.
func (r *reconciler) replace(ctx context.Context, export *apisv1alpha2.APIExport, name string, s *subject) ([]annexv1alpha1.APIChange, *fault, error) {
	cluster := logicalcluster.From(export)
	next, conversion, err := r.schema(ctx, cluster, name)
	if err != nil {
		return nil, nil, err
	}
	if next == nil {
		return nil, faultf(annexv1alpha1.APIResourceSchemaNotFoundReason, "there is no APIResourceSchema %q in this workspace", name), nil
	}
	gr := schema.GroupResource{Group: next.Spec.Group, Resource: next.Spec.Names.Plural}
	at := slices.IndexFunc(export.Spec.Resources, func(r apisv1alpha2.ResourceSchema) bool { return r.Group == gr.Group && r.Name == gr.Resource })
	switch {
	case at < 0:
		return nil, faultf(annexv1alpha1.APIResourceSchemaMismatchReason, "APIResourceSchema %q is for %s, which APIExport %q does not have", name, gr, export.Name), nil
	case export.Spec.Resources[at].Storage.Virtual != nil:
		return nil, faultf(annexv1alpha1.APIResourceSchemaMismatchReason, "the objects of %s are in virtual storage, which this server does not read", gr), nil
	case s.resources[gr] != nil:
		return nil, faultf(annexv1alpha1.APIResourceSchemaMismatchReason, "APIResourceSchemas %q and %q are both for %s", s.resources[gr].schema, name, gr), nil
	}
	one := &replacement{schema: name}
	if one.definition, err = crd.FromSchema(next); err == nil {
		if err = crd.SetConversion(one.definition, conversion); err == nil {
			one.checker, err = fit.New(one.definition)
		}
	}
	if err != nil {
		return nil, faultf(annexv1alpha1.APIResourceSchemaInvalidReason, "APIResourceSchema %q cannot be used: %v", name, err), nil
	}
	s.resources[gr], s.order = one, append(s.order, gr)
	before, _, err := r.schema(ctx, cluster, export.Spec.Resources[at].Schema)
	if err != nil {
		return nil, nil, err
	}
	if before == nil {
		return nil, faultf(annexv1alpha1.APIResourceSchemaNotFoundReason, "there is no APIResourceSchema %q, which APIExport %q has now", export.Spec.Resources[at].Schema, export.Name), nil
	}
	now, err := crd.FromSchema(before)
	if err != nil {
		return nil, faultf(annexv1alpha1.APIResourceSchemaInvalidReason, "APIResourceSchema %q cannot be read: %v", before.Name, err), nil
	}
	var breaking []annexv1alpha1.APIChange
	for _, c := range change.Breaking(change.Between(now, one.definition)) {
		breaking = append(breaking, annexv1alpha1.APIChange{Schema: name, Version: c.Version, Field: c.Field, Message: c.Message})
	}
	return breaking, nil, nil
}

// schema returns a schema, nil if there is none, and the rules by which it converts, nil if there are none.
func (r *reconciler) schema(ctx context.Context, cluster logicalcluster.Name, name string) (*apisv1alpha1.APIResourceSchema, *apisv1alpha1.APIConversion, error) {
	key := client.Key{Cluster: cluster, Name: name}
	found, err := client.FindNow[apisv1alpha1.APIResourceSchema](ctx, r.Client, r.Live, schemas, key)
	if err != nil || found == nil || !crd.Converts(found) {
		return found, nil, err
	}
	conversion, err := client.Find[apisv1alpha1.APIConversion](ctx, r.Live, conversions, key)
	return found, conversion, err
}

// consumersOf returns the clusters that have bound a resource of s from export.
func (r *reconciler) consumersOf(ctx context.Context, export *apisv1alpha2.APIExport, s *subject) ([]consumer, error) {
	all, err := client.List[apisv1alpha2.APIBinding](ctx, r.Live, bindings, client.Scope{
		Selector: identity.BindingsTo(logicalcluster.From(export), export.Name),
	})
	if err != nil {
		return nil, fmt.Errorf("listing the consumers of APIExport %q: %w", export.Name, err)
	}
	var found []consumer
	for _, binding := range all {
		one := consumer{cluster: logicalcluster.Name(strings.Clone(string(logicalcluster.From(binding))))}
		bound := false
		for i := range binding.Status.BoundResources {
			resource := &binding.Status.BoundResources[i]
			next := s.resources[schema.GroupResource{Group: resource.Group, Resource: resource.Resource}]
			if next == nil || resource.Schema.IdentityHash != s.identity {
				continue
			}
			bound = true
			behind, err := r.staysBehind(ctx, resource, next.definition)
			if err != nil {
				return nil, err
			}
			one.behind = one.behind || behind
		}
		if bound {
			found = append(found, one)
		}
	}
	slices.SortFunc(found, func(a, b consumer) int { return strings.Compare(a.cluster.String(), b.cluster.String()) })
	// A workspace may bind an export twice.
	return slices.CompactFunc(found, func(a, b consumer) bool { return a.cluster == b.cluster }), nil
}

// staysBehind reports whether a binding of resource will not follow to a definition, as controllers/apibinding decides.
func (r *reconciler) staysBehind(ctx context.Context, resource *apisv1alpha2.BoundAPIResource, next *apiextensionsv1.CustomResourceDefinition) (bool, error) {
	for _, stored := range resource.StorageVersions {
		if !slices.ContainsFunc(next.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Name == stored }) {
			return true, nil
		}
	}
	now, err := client.Find[apiextensionsv1.CustomResourceDefinition](ctx, r.Client, definitions, client.Key{Cluster: logicalcluster.SystemBoundCRDs, Name: resource.Schema.UID})
	if err != nil || now == nil {
		return false, err
	}
	return now.Spec.Scope != next.Spec.Scope || now.Spec.Names.Kind != next.Spec.Names.Kind, nil
}
