package apibinding

import (
	"context"
	"slices"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

// mayFollow returns nil if source may replace the schema that before is bound with, and otherwise the fault. Existing objects must stay
// readable, or nobody could even delete them. So mayFollow refuses what Kubernetes forbids for a CustomResourceDefinition with objects:
// another scope, another kind, and the removal of a version in which objects may be stored.
func (c *Controller) mayFollow(ctx context.Context, before *apisv1alpha2.BoundAPIResource, source *apisv1alpha1.APIResourceSchema) (*fault, error) {
	for _, stored := range before.StorageVersions {
		if !slices.ContainsFunc(source.Spec.Versions, func(v apisv1alpha1.APIResourceVersion) bool { return v.Name == stored }) {
			return invalidSchema("APIResourceSchema %q does not have version %q, in which objects may be stored: keep that version, if necessary with served: false",
				source.Name, stored), nil
		}
	}
	definition, err := c.definition(ctx, before.Schema.UID)
	if err != nil || definition == nil {
		return nil, err
	}
	if old := definition.Spec.Scope; old != source.Spec.Scope {
		return invalidSchema("APIResourceSchema %q has scope %s, but the resource is bound with scope %s", source.Name, source.Spec.Scope, old), nil
	}
	if old := definition.Spec.Names.Kind; old != source.Spec.Names.Kind {
		return invalidSchema("APIResourceSchema %q has kind %s, but the resource is bound with kind %s", source.Name, source.Spec.Names.Kind, old), nil
	}
	return nil, nil
}
