package workspace

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/tenancy/typeresolution"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/admission/tree"
)

// TypesName is the name of the plugin that NewTypes returns.
const TypesName = "tenancy.kcp.io/WorkspaceTypeExists"

type types struct {
	*admission.Handler
	tree       *tree.Tree
	authorizer request.Authorizer
}

var (
	_ admission.MutationInterface   = &types{}
	_ admission.ValidationInterface = &types{}
)

// NewTypes returns the plugin.
func NewTypes(t *tree.Tree, authorizer request.Authorizer) admission.Interface {
	return &types{Handler: admission.NewHandler(admission.Create), tree: t, authorizer: authorizer}
}

// Admit implements admission.MutationInterface: it completes spec.type, and adds the labels of the type.
func (p *types) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	ws, ok := a.GetObject().(*tenancyv1alpha1.Workspace)
	if !ok || !request.Is(a, tree.Workspaces) || ws.Spec.Mount != nil {
		return nil
	}
	above, err := parent(ctx, p.tree, a)
	if err != nil {
		return err
	}
	if above.DeletionTimestamp != nil {
		return admission.NewForbidden(a, errors.New("the workspace is being deleted"))
	}
	ref, err := p.wanted(ctx, ws, above)
	if err != nil {
		return refuse(a, err)
	}
	aliases, err := p.find(ctx, a, ref, above)
	if err != nil {
		return refuse(a, err)
	}
	complete := typeresolution.Reference(aliases[len(aliases)-1])
	ws.Spec.Type = &complete

	labels := maps.Clone(ws.Labels)
	// The type itself is last and overrides the types that it extends. Labels of the user override all.
	for _, t := range slices.Backward(aliases) {
		for key, value := range t.Spec.AdditionalWorkspaceLabels {
			if _, set := labels[key]; set {
				continue
			}
			if labels == nil {
				labels = map[string]string{}
			}
			labels[key] = value
		}
	}
	ws.Labels = labels
	return nil
}

// wanted returns the requested type, possibly without a path. If none is requested, it is the default of the parent workspace.
func (p *types) wanted(ctx context.Context, ws *tenancyv1alpha1.Workspace, above *corev1alpha1.LogicalCluster) (tenancyv1alpha1.WorkspaceTypeReference, error) {
	if ws.Spec.Type != nil && ws.Spec.Type.Name != "" {
		return *ws.Spec.Type, nil
	}
	t, err := p.typeOf(ctx, above)
	if err != nil {
		return tenancyv1alpha1.WorkspaceTypeReference{}, err
	}
	if t.Spec.DefaultChildWorkspaceType == nil {
		return tenancyv1alpha1.WorkspaceTypeReference{}, fault{fmt.Errorf("spec.defaultChildWorkspaceType of workspace type %s must be set", typeresolution.Qualified(t))}
	}
	return *t.Spec.DefaultChildWorkspaceType, nil
}

// typeOf returns the type of the workspace of lc.
func (p *types) typeOf(ctx context.Context, lc *corev1alpha1.LogicalCluster) (*typeresolution.Type, error) {
	note := lc.Annotations[corev1alpha1.LogicalClusterTypeAnnotationKey]
	path, name, ok := typeresolution.ParseQualified(note)
	if !ok {
		return nil, fault{fmt.Errorf("annotation %s not found on the LogicalCluster of this workspace", corev1alpha1.LogicalClusterTypeAnnotationKey)}
	}
	t, err := p.get(ctx, path, name)
	if apierrors.IsNotFound(err) {
		return nil, fault{fmt.Errorf("workspace type %s of this workspace does not exist", note)}
	}
	return t, err
}

// find resolves ref for a workspace whose parent is above, and returns the type and those that it extends, as Aliases does. The
// creator may use each of them. A type that the creator may not use gives the same error as a type that does not exist.
func (p *types) find(ctx context.Context, a admission.Attributes, ref tenancyv1alpha1.WorkspaceTypeReference, above *corev1alpha1.LogicalCluster) ([]*typeresolution.Type, error) {
	asked := string(ref.Name)
	get := func(ctx context.Context) (*typeresolution.Type, error) { return p.search(ctx, ref.Name, above) }
	if path := logicalcluster.Path(ref.Path); !path.Empty() {
		asked = path.Join(asked).String()
		get = func(ctx context.Context) (*typeresolution.Type, error) { return p.get(ctx, path, ref.Name) }
	}
	t, err := p.usable(ctx, a, asked, get)
	if err != nil {
		return nil, err
	}
	return typeresolution.Aliases(ctx, t, func(ctx context.Context, path logicalcluster.Path, name tenancyv1alpha1.WorkspaceTypeName) (*typeresolution.Type, error) {
		return p.usable(ctx, a, path.Join(string(name)).String(), func(ctx context.Context) (*typeresolution.Type, error) {
			return p.get(ctx, path, name)
		})
	})
}

// search looks for a type in the workspaces from that of above up to root. Most types are in root, so it searches the cache on
// the whole path first, and searches again only if the type is nowhere.
func (p *types) search(ctx context.Context, name tenancyv1alpha1.WorkspaceTypeName, above *corev1alpha1.LogicalCluster) (t *typeresolution.Type, err error) {
	for _, cachedOnly := range []bool{true, false} {
		for _, path := range typeresolution.SearchPath(tree.PathOf(above)) {
			if t, err = p.tree.WorkspaceType(ctx, path, string(name), cachedOnly); !apierrors.IsNotFound(err) {
				return t, err
			}
		}
	}
	return nil, err
}

// usable returns the type that get returns, if the creator may use it by RBAC of the type's workspace. asked is the type in the
// words of the request: the path of a type that was found is not for everybody.
func (p *types) usable(ctx context.Context, a admission.Attributes, asked string, get func(context.Context) (*typeresolution.Type, error)) (*typeresolution.Type, error) {
	refused := fault{fmt.Errorf("unable to use workspace type %s: it cannot be resolved, or you are missing verb='use' permission on workspacetype", asked)}
	t, err := get(ctx)
	if apierrors.IsNotFound(err) {
		return nil, refused
	}
	if err != nil {
		return nil, err
	}
	cluster, err := request.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	allowed, err := request.Allowed(ctx, p.authorizer, a, cluster, logicalcluster.From(t), "use",
		tenancyv1alpha1.SchemeGroupVersion.WithResource("workspacetypes"), t.Name)
	if err != nil {
		return nil, err
	}
	if !allowed {
		return nil, refused
	}
	return t, nil
}

func (p *types) get(ctx context.Context, path logicalcluster.Path, name tenancyv1alpha1.WorkspaceTypeName) (*typeresolution.Type, error) {
	return p.tree.WorkspaceType(ctx, path, string(name), false)
}

// Validate implements admission.ValidationInterface: the creator must have permission to use the type, and the type must be
// allowed here.
func (p *types) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	ws, ok := a.GetObject().(*tenancyv1alpha1.Workspace)
	if !ok || !request.Is(a, tree.Workspaces) || ws.Spec.Mount != nil {
		return nil
	}
	above, err := parent(ctx, p.tree, a)
	if err != nil {
		return err
	}
	if ws.Spec.Type == nil {
		return admission.NewForbidden(a, errors.New("spec.type must be set"))
	}
	aliases, err := p.find(ctx, a, *ws.Spec.Type, above)
	if err != nil {
		return refuse(a, err)
	}
	parentType, err := p.typeOf(ctx, above)
	if err != nil {
		return refuse(a, err)
	}
	parentAliases, err := typeresolution.Aliases(ctx, parentType, p.get)
	if err != nil {
		return refuse(a, err)
	}
	if err := typeresolution.Allowed(parentAliases, aliases); err != nil {
		return admission.NewForbidden(a, err)
	}
	return nil
}

// fault is an error that users can correct.
type fault struct{ error }

// refuse returns err as the response: Forbidden, unless the storage could not be read.
func refuse(a admission.Attributes, err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) && !apierrors.IsNotFound(err) {
		return fmt.Errorf("resolving the workspace type: %w", err)
	}
	return admission.NewForbidden(a, err)
}
