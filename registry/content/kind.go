package content

import (
	"context"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apischema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage/head"
)

// KindOf implements client.Content.
func (c *Content) KindOf(ctx context.Context, cluster logicalcluster.Name, gvk apischema.GroupVersionKind) (*client.Kind, error) {
	row := kinds.All.StoredAs(gvk)
	if row != nil && row.Serving == kinds.Everywhere {
		return &client.Kind{Resource: row.GroupResource(), Namespaced: row.Namespaced}, nil
	}
	for _, look := range []func(context.Context, logicalcluster.Name) (*catalog.Snapshot, error){c.Catalog.For, c.Catalog.Refresh} {
		snapshot, err := look(ctx, cluster)
		if err != nil {
			return nil, err
		}
		if found := kindIn(snapshot, gvk, row); found != nil {
			return found, nil
		}
	}
	return nil, nil
}

// kindIn returns what gvk is in a snapshot; nil if that does not serve it. Row is what the process itself stores as gvk, if it does.
func kindIn(snapshot *catalog.Snapshot, gvk apischema.GroupVersionKind, row *kinds.Row) *client.Kind {
	for _, r := range snapshot.Resources() {
		switch {
		case r.Typed && row != nil && r.GroupResource() == row.GroupResource():
			return &client.Kind{Resource: row.GroupResource(), Namespaced: row.Namespaced}
		case r.Typed || r.Group != gvk.Group || r.Kind != gvk.Kind:
		case r.Virtual: // whether an object is there is not for this server to say
		case slices.ContainsFunc(r.CRD.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
			return v.Served && (v.Name == gvk.Version || gvk.Version == "")
		}):
			return &client.Kind{Resource: r.GroupResource(), Bucket: r.Bucket, Namespaced: r.Namespaced}
		}
	}
	return nil
}

// ServedAs implements client.Content. The version is the one that the object is stored in.
func (c *Content) ServedAs(ctx context.Context, h head.Head) (apischema.GroupVersionKind, error) {
	if h.Bucket == "" {
		row := kinds.All.Row(h.Resource)
		if row == nil {
			return apischema.GroupVersionKind{}, nil
		}
		return row.GroupVersion().WithKind(row.Kind()), nil
	}
	r, err := c.resource(ctx, kind{cluster: h.Cluster, resource: h.Resource, bucket: h.Bucket})
	if err != nil || r == nil {
		return apischema.GroupVersionKind{}, err
	}
	for _, v := range r.CRD.Spec.Versions {
		if v.Storage {
			return apischema.GroupVersionKind{Group: r.Group, Version: v.Name, Kind: r.Kind}, nil
		}
	}
	return apischema.GroupVersionKind{}, nil
}
