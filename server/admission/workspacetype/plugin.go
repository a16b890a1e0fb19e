package workspacetype

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
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

var _ admission.ValidationInterface = &plugin{}

// New returns the plugin.
func New(t *tree.Tree, authorizer request.Authorizer) admission.Interface {
	return &plugin{Handler: admission.NewHandler(admission.Create, admission.Update), tree: t, authorizer: authorizer}
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
	if a.GetOperation() == admission.Create {
		if err := checkName(cluster, tenancyv1alpha1.WorkspaceTypeName(wt.Name)); err != nil {
			return admission.NewForbidden(a, err)
		}
	}
	if err := checkPaths(wt); err != nil {
		return admission.NewForbidden(a, err)
	}
	old, _ := a.GetOldObject().(*tenancyv1alpha1.WorkspaceType)
	for _, binding := range wt.Spec.DefaultAPIBindings {
		if old != nil && slices.Contains(old.Spec.DefaultAPIBindings, binding) {
			continue
		}
		if err := p.checkBinding(ctx, a, cluster, binding); err != nil {
			return err
		}
	}
	return nil
}

func checkName(cluster logicalcluster.Name, name tenancyv1alpha1.WorkspaceTypeName) error {
	switch {
	case name == tenancyv1alpha1.AnyWorkspaceTypeName || name == tenancyv1alpha1.SystemWorkspaceTypeName:
		return fmt.Errorf("the name %q is reserved", name)
	case name == tenancyv1alpha1.RootWorkspaceTypeName && cluster != logicalcluster.Root:
		return fmt.Errorf("a WorkspaceType named %q can exist only in the root workspace", name)
	}
	return nil
}

func checkPaths(wt *tenancyv1alpha1.WorkspaceType) error {
	check := func(field string, refs ...tenancyv1alpha1.WorkspaceTypeReference) error {
		for i, ref := range refs {
			if ref.Path == "" {
				return fmt.Errorf(field+".path is required", i)
			}
		}
		return nil
	}
	errs := []error{check("spec.extend.with[%d]", wt.Spec.Extend.With...)}
	if ref := wt.Spec.DefaultChildWorkspaceType; ref != nil && ref.Path == "" {
		errs = append(errs, errors.New("spec.defaultChildWorkspaceType.path is required"))
	}
	if limit := wt.Spec.LimitAllowedChildren; limit != nil {
		errs = append(errs, check("spec.limitAllowedChildren.types[%d]", limit.Types...))
	}
	if limit := wt.Spec.LimitAllowedParents; limit != nil {
		errs = append(errs, check("spec.limitAllowedParents.types[%d]", limit.Types...))
	}
	return errors.Join(errs...)
}

// checkBinding refuses with the same words whether the export is missing or may not be bound.
func (p *plugin) checkBinding(ctx context.Context, a admission.Attributes, in logicalcluster.Name, ref tenancyv1alpha1.APIExportReference) error {
	if request.IsMaster(a) {
		return nil
	}
	path := logicalcluster.Path(ref.Path)
	if path.Empty() {
		path = in.Path()
	}
	refused := admission.NewForbidden(a, fmt.Errorf("unable to add default APIBinding: no permission to bind to export %s", path.Join(ref.Export)))
	cluster, found, err := p.tree.Resolver.Resolve(ctx, path)
	if err != nil {
		return fmt.Errorf("resolving %s: %w", path, err)
	}
	if !found {
		return refused
	}
	// The permission first: who has none must not learn from the time it takes whether the export exists.
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
	return nil
}
