package sharing

import (
	"context"
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/apis/annex/mapping"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/apis/identity"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/server/admission/request"
)

// verbProject on the LogicalCluster of a workspace lets a user give the host access to the workspace. A user with this verb in the
// workspace before {namespace} decides for all workspaces below it.
const verbProject = "project"

// hostBindingPlugin checks hostbindings. They give users access to other workspaces, so their author must have permission to bind the
// export, and permission in the affected workspaces.
type hostBindingPlugin struct {
	*admission.Handler
	exports exports
}

var (
	_ admission.MutationInterface   = &hostBindingPlugin{}
	_ admission.ValidationInterface = &hostBindingPlugin{}
)

// Admit implements admission.MutationInterface: it sets the label, which says for which export the binding is accepted.
func (p *hostBindingPlugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	binding, ok := a.GetObject().(*annexv1alpha1.HostBinding)
	if !ok || !request.Is(a, hostBindings) {
		return nil
	}
	old, _ := a.GetOldObject().(*annexv1alpha1.HostBinding)
	if old != nil {
		if err := setLabel(a, binding, labelOf(old)); err != nil || unchanged(binding, old) {
			return err
		}
	}
	export := binding.Spec.Reference.Export
	if export == nil {
		return nil // validation reports what is missing
	}
	if old != nil && !newlyAccepts(binding, old).Empty() {
		relabel(binding, identity.ExportLabelValue(newlyAccepts(binding, old), export.Name))
		return nil
	}
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	provider, err := p.exports.resolve(ctx, cluster, export.Path)
	if err != nil || provider.Empty() {
		return err // Validate refuses it
	}
	label := identity.ExportLabelValue(provider, export.Name)
	if old == nil {
		return setLabel(a, binding, label)
	}
	relabel(binding, label)
	return nil
}

// unchanged reports whether an update changes nothing for which its author needs permission.
func unchanged(binding, old *annexv1alpha1.HostBinding) bool {
	return apiequality.Semantic.DeepEqual(old.Spec, binding.Spec) && newlyAccepts(binding, old).Empty()
}

// Validate implements admission.ValidationInterface. Any change of the spec is checked like a creation.
func (p *hostBindingPlugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	binding, ok := a.GetObject().(*annexv1alpha1.HostBinding)
	if !ok || !request.Is(a, hostBindings) {
		return nil
	}
	if old, ok := a.GetOldObject().(*annexv1alpha1.HostBinding); ok && unchanged(binding, old) {
		return nil
	}
	export := binding.Spec.Reference.Export
	m, err := mapping.Parse(binding.Spec.Workspace.Path)
	if export == nil || err != nil {
		return nil //nolint:nilerr // validation reports the error
	}
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	if err := p.exports.accept(ctx, a, cluster, binding, export.Path, export.Name, "write HostBinding"); err != nil {
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

// mayReach checks the permission in the workspace that m leads to. If the path depends on a namespace, it checks the workspace before
// {namespace}. If a fixed workspace does not exist, its parent decides.
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

// mayMake requires the permissions that the author would need to create the workspaces.
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

// need returns a Forbidden error unless the user of a may use verb on the resource in the cluster at. An empty at, for a cluster that
// does not exist, gives the same error. what describes the permission in the error.
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
