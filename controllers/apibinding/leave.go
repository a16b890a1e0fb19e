package apibinding

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/apis/lifecycle"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// leave marks the bound resources that export does not offer as leaving, and drops those of them that were stored as such and have no
// object any more. The caller owns binding.
func (c *Controller) leave(ctx context.Context, key client.Key, binding *apisv1alpha2.APIBinding, export *apisv1alpha2.APIExport) error {
	var leaving []schema.GroupResource
	var kept []apisv1alpha2.BoundAPIResource
	for _, bound := range binding.Status.BoundResources {
		gr := groupResource(bound.Group, bound.Resource)
		if slices.ContainsFunc(export.Spec.Resources, func(r apisv1alpha2.ResourceSchema) bool { return groupResource(r.Group, r.Name) == gr }) {
			kept = append(kept, bound)
			continue
		}
		if lifecycle.IsLeaving(binding.Annotations, gr) {
			used, err := c.hasObjects(ctx, key.Cluster, logicalcluster.Name(binding.Status.APIExportClusterName), bound)
			if err != nil {
				return err
			}
			if !used {
				continue
			}
		}
		kept, leaving = append(kept, bound), append(leaving, gr)
	}
	binding.Status.BoundResources = kept
	lifecycle.MarkLeaving(binding, leaving)
	return nil
}

// hasObjects reports whether cluster has an object of a bound resource, now or later.
func (c *Controller) hasObjects(ctx context.Context, cluster, provider logicalcluster.Name, bound apisv1alpha2.BoundAPIResource) (bool, error) {
	gr, bucket := groupResource(bound.Group, bound.Resource), bound.Schema.IdentityHash
	switch {
	case c.isTyped(provider, gr):
		bucket = ""
	case bucket == "":
		return false, nil // nothing was ever stored
	}
	heads, err := c.Content.List(ctx, client.ContentScope{Cluster: cluster, Wanted: func(resource schema.GroupResource, its string) bool {
		return resource == gr && its == bucket
	}})
	if err != nil {
		return false, fmt.Errorf("finding objects of %s in %q: %w", gr, cluster, err)
	}
	return len(heads) > 0, nil
}
