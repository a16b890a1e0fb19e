package apiexport

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
)

// Identified returns what serves lists and watches of gr in all clusters that have bound it with the identity. It does not decide who may see
// that. The error is an API status: NotFound if nobody knows such an API.
func (e *Endpoint) Identified(ctx context.Context, gr schema.GroupResource, identity string) (serve.Target, error) {
	var resource *catalog.Resource
	var at logicalcluster.Name
	err := client.LookTwice(e.Cached, e.Live, func(from client.Reader) (enough bool, err error) {
		resource, at, err = e.identified(ctx, from, gr, identity)
		return resource != nil, err
	})
	switch {
	case err != nil:
		return serve.Target{}, apistatus.Internal(fmt.Errorf("finding the API with an identity: %w", err))
	case resource == nil:
		return serve.Target{}, apistatus.NotServed()
	}
	return serve.Target{All: true, Resource: resource, While: serve.Condition{Cluster: at, Holds: func(ctx context.Context) bool {
		now, _, err := e.identified(ctx, e.Cached, gr, identity)
		// What is wrong with storage shows elsewhere.
		return err != nil || now != nil && (resource.Typed && now.Typed || resource.Same(now))
	}}}, nil
}

// identified returns the API with an identity, and the cluster of its provider; nil if there is none.
func (e *Endpoint) identified(ctx context.Context, from client.Reader, gr schema.GroupResource, identity string) (*catalog.Resource, logicalcluster.Name, error) {
	if identity == "" {
		return nil, "", nil
	}
	resource, at, err := e.exported(ctx, from, gr, identity)
	if err != nil || resource != nil || e.IsBound(gr) {
		return resource, at, err
	}
	// Nobody exports it any more. Consumers that have bound it keep it.
	all, err := client.List[apisv1alpha2.APIBinding](ctx, from, bindings, client.Scope{})
	if err != nil {
		return nil, "", err
	}
	for _, binding := range all {
		for _, bound := range binding.Status.BoundResources {
			if bound.Group != gr.Group || bound.Resource != gr.Resource || bound.Schema.IdentityHash != identity {
				continue
			}
			found, known, err := e.Definitions.BoundResource(ctx, gr, bound.Schema.UID, identity)
			if err != nil || known {
				return found, logicalcluster.Name(binding.Status.APIExportClusterName), err
			}
		}
	}
	return nil, "", nil
}

// exported returns what an export with the identity offers as gr, and the cluster of that; nil if there is none.
func (e *Endpoint) exported(ctx context.Context, from client.Reader, gr schema.GroupResource, identity string) (*catalog.Resource, logicalcluster.Name, error) {
	scope := client.Scope{}
	if e.IsBound(gr) {
		scope.Cluster = logicalcluster.Root
	}
	all, err := client.List[apisv1alpha2.APIExport](ctx, from, exports, scope)
	if err != nil {
		return nil, "", err
	}
	for _, export := range all {
		if export.Status.IdentityHash != identity || !offers(export, gr) {
			continue
		}
		at := virtual.Endpoint{Cluster: logicalcluster.From(export), Name: export.Name}
		if e.isTyped(at.Cluster, gr) {
			return typed(gr), at.Cluster, nil
		}
		found, err := e.resource(ctx, at, export, gr)
		if err != nil || found != nil {
			return found, at.Cluster, err
		}
	}
	return nil, "", nil
}
