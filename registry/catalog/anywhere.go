package catalog

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// Anywhere reports whether some cluster serves a version of a custom resource, by a definition of its own or by a binding. It misses nothing
// that was acknowledged before the call. It reads the bindings of all clusters, so it is not for the requests of tenants.
func (c *Catalog) Anywhere(ctx context.Context, gvr schema.GroupVersionResource) (bool, error) {
	found, err := c.anywhere(ctx, gvr)
	if err != nil || found || c.fresh == nil {
		return found, err
	}
	if _, err := c.fresh.Wait(ctx); err != nil {
		return false, err
	}
	return c.anywhere(ctx, gvr)
}

func (c *Catalog) anywhere(ctx context.Context, gvr schema.GroupVersionResource) (bool, error) {
	gr := gvr.GroupResource()
	serves := func(crd *apiextensionsv1.CustomResourceDefinition) bool {
		return slices.ContainsFunc(crd.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Served && v.Name == gvr.Version })
	}
	local, err := c.locally(ctx, gr, serves)
	if err != nil || local {
		return local, err
	}
	bindings, err := client.List[apisv1alpha2.APIBinding](ctx, c.reader, bindingsResource, client.Scope{})
	if err != nil {
		return false, err
	}
	seen := map[string]bool{}
	for _, binding := range bindings {
		for _, bound := range binding.Status.BoundResources {
			if bound.Group != gr.Group || bound.Resource != gr.Resource || bound.Virtual != nil || seen[bound.Schema.UID] {
				continue
			}
			seen[bound.Schema.UID] = true
			by, err := c.boundDefinition(ctx, c.reader, bound.Schema.UID)
			if err != nil {
				return false, err
			}
			if by.definition != nil && serves(by.definition) {
				return true, nil
			}
		}
	}
	return false, nil
}

// locally reports whether some cluster has an established definition of gr that satisfies serves.
func (c *Catalog) locally(ctx context.Context, gr schema.GroupResource, serves func(*apiextensionsv1.CustomResourceDefinition) bool) (bool, error) {
	heads, err := c.allHeads(ctx)
	if err != nil {
		return false, fmt.Errorf("looking for definitions of %s: %w", gr, err)
	}
	for _, h := range heads {
		if h.Name != gr.String() || h.Cluster == logicalcluster.SystemBoundCRDs {
			continue
		}
		crd, err := client.Find[apiextensionsv1.CustomResourceDefinition](ctx, c.reader, definitionsResource, client.Key{Cluster: h.Cluster, Name: h.Name})
		if err != nil {
			return false, err
		}
		if crd != nil && crd.Status.AcceptedNames.Plural == gr.Resource && apihelpers.IsCRDConditionTrue(crd, apiextensionsv1.Established) && serves(crd) {
			return true, nil
		}
	}
	return false, nil
}
