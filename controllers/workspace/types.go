package workspace

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/tenancy/typeresolution"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
)

// aliases returns the type of ws and all types that it extends.
func (r *reconciler) aliases(ctx context.Context, ws *tenancyv1alpha1.Workspace) ([]*typeresolution.Type, error) {
	ref := ws.Spec.Type
	if ref == nil {
		return nil, nil
	}
	t, err := r.workspaceType(ctx, logicalcluster.Path(ref.Path), ref.Name)
	if err != nil {
		return nil, fmt.Errorf("reading workspace type %s: %w", logicalcluster.Path(ref.Path).Join(string(ref.Name)), err)
	}
	aliases, err := typeresolution.Aliases(ctx, t, r.workspaceType)
	if err != nil {
		return nil, fmt.Errorf("resolving workspace type %s: %w", typeresolution.Qualified(t), err)
	}
	return aliases, nil
}

// workspaceType implements typeresolution.Getter.
func (r *reconciler) workspaceType(ctx context.Context, path logicalcluster.Path, name tenancyv1alpha1.WorkspaceTypeName) (*typeresolution.Type, error) {
	cluster, found, err := r.Resolver.Resolve(ctx, path)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, apierrors.NewNotFound(workspaceTypes, path.Join(string(name)).String())
	}
	// Admission has just read it, so the cache may be outdated.
	t, err := client.FindNow[typeresolution.Type](ctx, r.Client, r.Live, workspaceTypes, client.Key{Cluster: cluster, Name: string(name)})
	if t == nil && err == nil {
		err = apierrors.NewNotFound(workspaceTypes, string(name))
	}
	return t, err
}
