package bootstrap

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
)

const (
	organization tenancyv1alpha1.WorkspaceTypeName = "organization"
	team         tenancyv1alpha1.WorkspaceTypeName = "team"
)

func inRoot(name tenancyv1alpha1.WorkspaceTypeName) tenancyv1alpha1.WorkspaceTypeReference {
	return tenancyv1alpha1.WorkspaceTypeReference{Name: name, Path: logicalcluster.Root.String()}
}

func only(names ...tenancyv1alpha1.WorkspaceTypeName) *tenancyv1alpha1.WorkspaceTypeSelector {
	selector := &tenancyv1alpha1.WorkspaceTypeSelector{}
	for _, name := range names {
		selector.Types = append(selector.Types, inRoot(name))
	}
	return selector
}

func workspaceType(name tenancyv1alpha1.WorkspaceTypeName, defaultChild tenancyv1alpha1.WorkspaceTypeName) *tenancyv1alpha1.WorkspaceType {
	child := inRoot(defaultChild)
	wt := &tenancyv1alpha1.WorkspaceType{
		ObjectMeta: metav1.ObjectMeta{
			Name:        string(name),
			Annotations: map[string]string{logicalcluster.PathAnnotationKey: logicalcluster.Root.String()},
		},
		Spec: tenancyv1alpha1.WorkspaceTypeSpec{DefaultChildWorkspaceType: &child},
	}
	if name != tenancyv1alpha1.UniversalWorkspaceTypeName {
		wt.Spec.Extend.With = []tenancyv1alpha1.WorkspaceTypeReference{inRoot(tenancyv1alpha1.UniversalWorkspaceTypeName)}
	}
	return wt
}

// workspaceTypes returns the types of root: first the type of the root workspace itself. That type is created but never
// updated, because administrators may change the default type below root.
func workspaceTypes(c Config) []*tenancyv1alpha1.WorkspaceType {
	universal := workspaceType(tenancyv1alpha1.UniversalWorkspaceTypeName, tenancyv1alpha1.UniversalWorkspaceTypeName)
	for _, export := range []string{tenancyv1alpha1.GroupName, topologyv1alpha1.GroupName} {
		universal.Spec.DefaultAPIBindings = append(universal.Spec.DefaultAPIBindings,
			tenancyv1alpha1.APIExportReference{Path: logicalcluster.Root.String(), Export: export})
	}
	belowRoot := tenancyv1alpha1.UniversalWorkspaceTypeName
	if c.WorkspaceTypes {
		belowRoot = organization
	}
	root := workspaceType(tenancyv1alpha1.RootWorkspaceTypeName, belowRoot)
	root.Spec.LimitAllowedParents = &tenancyv1alpha1.WorkspaceTypeSelector{None: true}
	types := []*tenancyv1alpha1.WorkspaceType{root, universal}
	if c.Homes {
		// Nobody creates a Workspace of this type: home workspaces have no parent.
		home := workspaceType(tenancyv1alpha1.HomeWorkspaceTypeName, tenancyv1alpha1.UniversalWorkspaceTypeName)
		home.Spec.LimitAllowedParents = &tenancyv1alpha1.WorkspaceTypeSelector{None: true}
		types = append(types, home)
	}
	if !c.WorkspaceTypes {
		return types
	}
	org := workspaceType(organization, tenancyv1alpha1.UniversalWorkspaceTypeName)
	org.Spec.LimitAllowedParents = only(tenancyv1alpha1.RootWorkspaceTypeName)
	org.Spec.LimitAllowedChildren = only(tenancyv1alpha1.UniversalWorkspaceTypeName)
	crew := workspaceType(team, tenancyv1alpha1.UniversalWorkspaceTypeName)
	crew.Spec.LimitAllowedParents = only(organization, team)
	return append(types, org, crew)
}

// ensureTypes writes the workspace types.
func (w *writer) ensureTypes(ctx context.Context, c Config) error {
	for _, wanted := range workspaceTypes(c) {
		merge := func(wt *tenancyv1alpha1.WorkspaceType) {
			mergeMeta(wt, wanted)
			wt.Spec = *wanted.Spec.DeepCopy()
		}
		if wanted.Name == string(tenancyv1alpha1.RootWorkspaceTypeName) {
			merge = nil
		}
		if _, err := ensure(ctx, w, tenancyv1alpha1.Resource("workspacetypes"), logicalcluster.Root, wanted, merge); err != nil {
			return err
		}
	}
	return nil
}
