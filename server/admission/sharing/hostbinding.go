package sharing

import (
	"context"
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/apis/annex/mapping"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/server/admission/request"
)

// verbProject is what lets the host reach into a workspace: on its LogicalCluster. Who has it in the workspace before
// {namespace} speaks for all below it.
const verbProject = "project"

// hostBindingPlugin admits hostbindings. They widen who reaches what in other workspaces, so their author must be somebody
// who may bind the export, and whom the workspaces concerned let do so.
type hostBindingPlugin struct {
	*admission.Handler
	exports exports
}

var _ admission.ValidationInterface = &hostBindingPlugin{}

// Validate implements admission.ValidationInterface. Any change of the spec is asked about like a creation.
func (p *hostBindingPlugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	binding, ok := a.GetObject().(*annexv1alpha1.HostBinding)
	if !ok || !request.Is(a, hostBindings) {
		return nil
	}
	if old, ok := a.GetOldObject().(*annexv1alpha1.HostBinding); ok && apiequality.Semantic.DeepEqual(old.Spec, binding.Spec) {
		return nil
	}
	export := binding.Spec.Reference.Export
	m, err := mapping.Parse(binding.Spec.Workspace.Path)
	if export == nil || err != nil {
		return nil //nolint:nilerr // validation says what is wrong with it
	}
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	if err := p.mayProject(ctx, a, cluster, export); err != nil {
		return err
	}
	if err := p.mayReach(ctx, a, cluster, m); err != nil {
		return err
	}
	if create := binding.Spec.Workspace.Create; create != nil {
		return p.mayMake(ctx, a, cluster, m, create)
	}
	return nil
}

// mayProject asks for the permission that an APIBinding needs.
func (p *hostBindingPlugin) mayProject(ctx context.Context, a admission.Attributes, cluster logicalcluster.Name, export *annexv1alpha1.HostBindingExport) error {
	provider, err := p.exports.resolve(ctx, cluster, export.Path)
	if err != nil {
		return err
	}
	allowed, err := p.exports.mayBind(ctx, a, cluster, provider, export.Name)
	if err != nil || allowed {
		return err
	}
	path := export.Path
	if path == "" {
		path = cluster.String()
	}
	return admission.NewForbidden(a, fmt.Errorf("unable to write HostBinding: no permission to bind to export %s:%s", path, export.Name))
}

// mayReach asks the workspace that m leads to or, when that depends on a namespace, the one in front of it. A fixed workspace
// that does not exist is spoken for by its parent, as one that a template leads to.
func (p *hostBindingPlugin) mayReach(ctx context.Context, a admission.Attributes, cluster logicalcluster.Name, m mapping.Mapping) error {
	at, err := p.exports.resolve(ctx, cluster, m.Base().String())
	if err != nil {
		return err
	}
	if parent, _ := m.Base().Split(); at.Empty() && m.Fixed() && !parent.Empty() {
		if at, err = p.exports.resolve(ctx, cluster, parent.String()); err != nil {
			return err
		}
	}
	return p.need(ctx, a, cluster, at, verbProject, "logicalclusters", corev1alpha1.LogicalClusterName,
		fmt.Sprintf("to let the host into workspace %s (verb %s on logicalclusters.core.kcp.io there)", m.Base(), verbProject))
}

// mayMake asks for what the author would need to make the workspaces.
func (p *hostBindingPlugin) mayMake(ctx context.Context, a admission.Attributes, cluster logicalcluster.Name, m mapping.Mapping, create *annexv1alpha1.HostBindingCreate) error {
	parent := m.Base()
	if m.Fixed() {
		parent, _ = parent.Split()
	}
	at, err := p.exports.resolve(ctx, cluster, parent.String())
	if err != nil {
		return err
	}
	if err := p.need(ctx, a, cluster, at, "create", "workspaces", "", fmt.Sprintf("to create workspaces in %s", parent)); err != nil {
		return err
	}
	if create.Type == nil {
		return nil
	}
	if at, err = p.exports.resolve(ctx, cluster, create.Type.Path); err != nil {
		return err
	}
	return p.need(ctx, a, cluster, at, "use", "workspacetypes", string(create.Type.Name),
		fmt.Sprintf("to use workspace type %s:%s", create.Type.Path, create.Type.Name))
}

// need refuses a unless its user has verb on the resource in the cluster at, which is empty when there is none: the answer
// is the same. what says what for.
func (p *hostBindingPlugin) need(ctx context.Context, a admission.Attributes, from, at logicalcluster.Name, verb, resource, name, what string) error {
	allowed := false
	if !at.Empty() {
		gvr := tenancyv1alpha1.SchemeGroupVersion.WithResource(resource)
		if resource == "logicalclusters" {
			gvr = corev1alpha1.SchemeGroupVersion.WithResource(resource)
		}
		var err error
		if allowed, err = request.Allowed(ctx, p.exports.Authorizer, a, from, at, verb, gvr, name); err != nil {
			return apierrors.NewInternalError(err)
		}
	}
	if !allowed {
		return admission.NewForbidden(a, fmt.Errorf("unable to write HostBinding: no permission %s", what))
	}
	return nil
}
