package workspacetype

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/tenancy/typeresolution"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/admission/tree"
)

// Name is the name of the plugin.
const Name = "tenancy.kcp.io/WorkspaceType"

type plugin struct {
	*admission.Handler
	tree       *tree.Tree
	authorizer request.Authorizer
}

var (
	_ admission.MutationInterface   = &plugin{}
	_ admission.ValidationInterface = &plugin{}
)

// New returns the plugin.
func New(t *tree.Tree, authorizer request.Authorizer) admission.Interface {
	return &plugin{Handler: admission.NewHandler(admission.Create, admission.Update), tree: t, authorizer: authorizer}
}

// Admit implements admission.MutationInterface: it records which clusters the default bindings are for. Whatever the request says
// of that is ignored.
func (p *plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	wt, ok := a.GetObject().(*tenancyv1alpha1.WorkspaceType)
	if !ok || !request.Is(a, tree.WorkspaceTypes) {
		return nil
	}
	in, err := request.Cluster(ctx)
	if err != nil {
		return err
	}
	old, _ := a.GetOldObject().(*tenancyv1alpha1.WorkspaceType)
	return typeresolution.RecordExportClusters(wt, func(ref tenancyv1alpha1.APIExportReference) (logicalcluster.Name, error) {
		if kept(old, ref) {
			return typeresolution.ClusterOf(old, ref), nil
		}
		path := pathOf(ref, in)
		cluster, _, err := p.tree.Resolver.Resolve(ctx, path)
		if err != nil {
			return "", fmt.Errorf("resolving %s: %w", path, err)
		}
		return cluster, nil
	})
}

// kept reports whether old, which may be nil, has the default binding already.
func kept(old *tenancyv1alpha1.WorkspaceType, ref tenancyv1alpha1.APIExportReference) bool {
	return old != nil && slices.Contains(old.Spec.DefaultAPIBindings, ref)
}

// pathOf returns the path of an export to which a type in cluster in refers.
func pathOf(ref tenancyv1alpha1.APIExportReference, in logicalcluster.Name) logicalcluster.Path {
	if ref.Path == "" {
		return in.Path()
	}
	return logicalcluster.Path(ref.Path)
}

// Validate implements admission.ValidationInterface.
func (p *plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	wt, ok := a.GetObject().(*tenancyv1alpha1.WorkspaceType)
	if !ok || !request.Is(a, tree.WorkspaceTypes) {
		return nil
	}
	cluster, err := request.Cluster(ctx)
	if err != nil {
		return err
	}
	if wt.Name == string(tenancyv1alpha1.RootWorkspaceTypeName) && cluster != logicalcluster.Root {
		return admission.NewForbidden(a, fmt.Errorf("a WorkspaceType named %q can exist only in the root workspace", wt.Name))
	}
	old, _ := a.GetOldObject().(*tenancyv1alpha1.WorkspaceType)
	for _, binding := range wt.Spec.DefaultAPIBindings {
		if kept(old, binding) {
			continue
		}
		if err := p.checkBinding(ctx, a, cluster, wt, binding); err != nil {
			return err
		}
	}
	return nil
}

// checkBinding gives the same error if the export does not exist and if the user may not bind it.
func (p *plugin) checkBinding(ctx context.Context, a admission.Attributes, in logicalcluster.Name, wt *tenancyv1alpha1.WorkspaceType, ref tenancyv1alpha1.APIExportReference) error {
	if request.IsMaster(a) {
		return nil
	}
	path := pathOf(ref, in)
	refused := admission.NewForbidden(a, fmt.Errorf("unable to add default APIBinding: no permission to bind to export %s", path.Join(ref.Export)))
	cluster, found, err := p.tree.Resolver.Resolve(ctx, path)
	if err != nil {
		return fmt.Errorf("resolving %s: %w", path, err)
	}
	if !found {
		return refused
	}
	// Check the permission first, so that the response time does not reveal whether the export exists.
	allowed, err := request.Allowed(ctx, p.authorizer, a, in, cluster, "bind", apisv1alpha2.SchemeGroupVersion.WithResource("apiexports"), ref.Export)
	if err != nil {
		return err
	}
	if !allowed {
		return refused
	}
	_, err = p.tree.APIExport(ctx, cluster, ref.Export)
	if apierrors.IsNotFound(err) {
		return refused
	}
	if err != nil {
		return fmt.Errorf("reading APIExport %s: %w", path.Join(ref.Export), err)
	}
	if typeresolution.ClusterOf(wt, ref) != cluster {
		return apierrors.NewConflict(tree.WorkspaceTypes, wt.Name, fmt.Errorf("the workspace at path %s has changed", path))
	}
	return nil
}
