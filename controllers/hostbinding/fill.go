package hostbinding

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"github.com/annex-dev/annex/apis/annex/mapping"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/apiservice"
	"github.com/annex-dev/annex/schemas/crd"
)

// offer is the part of an export that can be projected.
type offer struct {
	versions []schema.GroupVersion
	// unreachable are the resources for which the path has no workspace.
	unreachable []string
	// left says of each resource that cannot be projected why.
	left []string
}

// fill updates the status of binding, which the caller owns, and returns the group versions to register.
func (r *reconciler) fill(ctx context.Context, key client.Key, binding *annexv1alpha1.HostBinding) ([]schema.GroupVersion, error) {
	m, err := mapping.Parse(binding.Spec.Workspace.Path)
	if err != nil || binding.Spec.Reference.Export == nil {
		return nil, nil //nolint:nilerr // validation refuses such objects
	}
	export, err := r.exportOf(ctx, key, binding)
	if err != nil {
		return nil, err
	}
	var offered *offer
	if export != nil {
		if offered, err = r.offerOf(ctx, binding, export, m); err != nil {
			return nil, err
		}
	}
	if offered == nil {
		binding.Status.GroupVersions, binding.Status.IdentityHash = nil, ""
		conditionsv1alpha1.Delete(binding, annexv1alpha1.WorkspaceValid)
		conditionsv1alpha1.Delete(binding, annexv1alpha1.ResourcesProjected)
		conditionsv1alpha1.Delete(binding, annexv1alpha1.GroupVersionsRegistered)
		conditionsv1alpha1.SetSummary(binding)
		return nil, nil
	}
	conditionsv1alpha1.MarkTrue(binding, annexv1alpha1.APIExportValid)
	if len(offered.left) > 0 {
		conditionsv1alpha1.MarkFalse(binding, annexv1alpha1.ResourcesProjected, annexv1alpha1.NotProjectableReason, conditionsv1alpha1.ConditionSeverityInfo,
			"%s", strings.Join(offered.left, "; "))
	} else {
		conditionsv1alpha1.MarkTrue(binding, annexv1alpha1.ResourcesProjected)
	}
	binding.Status.IdentityHash = export.Status.IdentityHash
	if err := r.checkWorkspace(ctx, binding, m, offered); err != nil {
		return nil, err
	}
	wanted, err := r.place(ctx, key, binding, offered.versions)
	conditionsv1alpha1.SetSummary(binding, annexv1alpha1.APIExportValid, annexv1alpha1.WorkspaceValid, annexv1alpha1.GroupVersionsRegistered)
	return wanted, err
}

// exportOf returns the export. If there is none, exportOf sets the conditions and returns nil.
func (r *reconciler) exportOf(ctx context.Context, key client.Key, binding *annexv1alpha1.HostBinding) (*apisv1alpha2.APIExport, error) {
	reference := binding.Spec.Reference.Export
	provider, found := key.Cluster, true
	if reference.Path != "" {
		var err error
		if provider, found, err = r.Resolver.Resolve(ctx, logicalcluster.Path(reference.Path)); err != nil {
			return nil, fmt.Errorf("finding the workspace of the export of HostBinding %s: %w", key, err)
		}
	}
	var export *apisv1alpha2.APIExport
	if found {
		var err error
		if export, err = client.Find[apisv1alpha2.APIExport](ctx, r.Client, exports, client.Key{Cluster: provider, Name: reference.Name}); err != nil {
			return nil, err
		}
	}
	switch {
	case export == nil:
		conditionsv1alpha1.MarkFalse(binding, annexv1alpha1.APIExportValid, annexv1alpha1.APIExportNotFoundReason,
			conditionsv1alpha1.ConditionSeverityError, "APIExport %s:%s not found", reference.Path, reference.Name)
		return nil, nil
	case !identity.AcceptedFor(binding, binding.Status.APIExportClusterName, provider, reference.Name):
		conditionsv1alpha1.MarkFalse(binding, annexv1alpha1.APIExportValid, annexv1alpha1.ProviderChangedReason,
			conditionsv1alpha1.ConditionSeverityError, "%s", identity.ProviderChanged("hostbinding", binding, reference.Path, provider))
		return nil, nil
	case export.Status.IdentityHash == "":
		conditionsv1alpha1.MarkFalse(binding, annexv1alpha1.APIExportValid, annexv1alpha1.MissingIdentityHashReason,
			conditionsv1alpha1.ConditionSeverityWarning, "APIExport %s:%s has no identity yet", reference.Path, reference.Name)
		return nil, nil
	}
	binding.Status.APIExportClusterName = provider.String()
	return export, nil
}

// offerOf returns the offer of export. If it is empty, offerOf sets the conditions and returns nil.
func (r *reconciler) offerOf(ctx context.Context, binding *annexv1alpha1.HostBinding, export *apisv1alpha2.APIExport, m mapping.Mapping) (*offer, error) {
	provider := logicalcluster.From(export)
	o := &offer{}
	for _, resource := range export.Spec.Resources {
		gr := schema.GroupResource{Group: resource.Group, Resource: resource.Name}
		if why := r.unprojectable(provider, gr, resource.Storage.Virtual != nil); why != "" {
			o.left = append(o.left, gr.String()+" "+why)
			continue
		}
		source, err := client.Find[apisv1alpha1.APIResourceSchema](ctx, r.Client, schemas, client.Key{Cluster: provider, Name: resource.Schema})
		if err != nil {
			return nil, err
		}
		if err := usable(source, gr); err != nil {
			conditionsv1alpha1.MarkFalse(binding, annexv1alpha1.APIExportValid, annexv1alpha1.APIResourceSchemaInvalidReason,
				conditionsv1alpha1.ConditionSeverityError, "APIResourceSchema %q: %v", resource.Schema, err)
			return nil, nil
		}
		if source.Spec.Scope != apiextensionsv1.NamespaceScoped && !m.Fixed() {
			o.unreachable = append(o.unreachable, gr.String())
			continue
		}
		for _, version := range source.Spec.Versions {
			if gv := (schema.GroupVersion{Group: gr.Group, Version: version.Name}); ptr.Deref(version.Served, true) && !slices.Contains(o.versions, gv) {
				o.versions = append(o.versions, gv)
			}
		}
	}
	slices.SortFunc(o.versions, func(a, b schema.GroupVersion) int { return cmp.Compare(a.String(), b.String()) })
	if len(o.versions) == 0 && len(o.unreachable) == 0 {
		conditionsv1alpha1.MarkFalse(binding, annexv1alpha1.APIExportValid, annexv1alpha1.NoResourcesReason,
			conditionsv1alpha1.ConditionSeverityError, "%s", strings.Join(append([]string{"the APIExport offers no resource that can be projected"}, o.left...), "; "))
		return nil, nil
	}
	return o, nil
}

// unprojectable returns why the host cannot forward requests for gr to workspaces; empty if it can.
func (r *reconciler) unprojectable(provider logicalcluster.Name, gr schema.GroupResource, virtual bool) string {
	switch {
	case gr.Group == "":
		return "is in the core group, which the host has itself"
	case provider == logicalcluster.Root && r.IsBound(gr):
		return "is one of the server's own resources, whose group is the same on the host and in each workspace"
	case virtual:
		return "has virtual storage: its objects are in the workspace of the provider, not in the one that a namespace maps to"
	}
	return ""
}

// usable returns an error if the schema of gr cannot be used.
func usable(source *apisv1alpha1.APIResourceSchema, gr schema.GroupResource) error {
	if source == nil {
		return errors.New("not found")
	}
	if source.Spec.Group != gr.Group || source.Spec.Names.Plural != gr.Resource {
		return fmt.Errorf("is for %s.%s, not for %s", source.Spec.Names.Plural, source.Spec.Group, gr)
	}
	_, err := crd.FromSchema(source)
	return err
}

// checkWorkspace sets the condition that tells whether requests reach a workspace.
func (r *reconciler) checkWorkspace(ctx context.Context, binding *annexv1alpha1.HostBinding, m mapping.Mapping, offered *offer) error {
	invalid := func(reason, format string, args ...any) {
		conditionsv1alpha1.MarkFalse(binding, annexv1alpha1.WorkspaceValid, reason, conditionsv1alpha1.ConditionSeverityError, format, args...)
	}
	if len(offered.unreachable) > 0 {
		invalid(annexv1alpha1.FixedWorkspaceRequiredReason, "not projected, because a cluster-scoped resource needs a path without %s: %s",
			mapping.Placeholder, strings.Join(offered.unreachable, ", "))
		return nil
	}
	base := m.Base()
	if m.Fixed() && binding.Spec.Workspace.Create != nil {
		base, _ = base.Split()
	}
	cluster, found, err := r.Resolver.Resolve(ctx, base)
	if err != nil {
		return fmt.Errorf("finding workspace %s: %w", base, err)
	}
	if !found {
		invalid(annexv1alpha1.WorkspaceNotFoundReason, "workspace %s does not exist", base)
		return nil
	}
	if m.Fixed() && binding.Spec.Workspace.Create == nil {
		bound, err := r.binds(ctx, cluster, binding.Status.IdentityHash)
		if err != nil {
			return err
		}
		if !bound {
			export := binding.Spec.Reference.Export
			invalid(annexv1alpha1.APINotBoundReason, "workspace %s has no APIBinding to APIExport %s:%s", base, binding.Status.APIExportClusterName, export.Name)
			return nil
		}
	}
	conditionsv1alpha1.MarkTrue(binding, annexv1alpha1.WorkspaceValid)
	return nil
}

// binds reports whether cluster has bound a resource of the export with the identity.
func (r *reconciler) binds(ctx context.Context, cluster logicalcluster.Name, identity string) (bool, error) {
	all, err := client.List[apisv1alpha2.APIBinding](ctx, r.Client, bindings, client.Scope{Cluster: cluster})
	if err != nil {
		return false, err
	}
	for _, b := range all {
		if slices.ContainsFunc(b.Status.BoundResources, func(bound apisv1alpha2.BoundAPIResource) bool {
			return bound.Schema.IdentityHash == identity
		}) {
			return true, nil
		}
	}
	return false, nil
}

// place sets the state of each group version in the status, and returns the group versions to register.
func (r *reconciler) place(ctx context.Context, key client.Key, binding *annexv1alpha1.HostBinding, versions []schema.GroupVersion) ([]schema.GroupVersion, error) {
	taken, err := r.takenBy(ctx, key)
	if err != nil {
		return nil, err
	}
	var status []annexv1alpha1.HostGroupVersion
	var wanted []schema.GroupVersion
	for _, gv := range versions {
		entry := annexv1alpha1.HostGroupVersion{Name: gv.String()}
		switch other := taken[gv.String()]; {
		case reserved(gv.Group):
			entry.State, entry.Message = annexv1alpha1.HostGroupVersionConflict, "Annex itself serves this group version on the host"
		case other != "":
			entry.State, entry.Message = annexv1alpha1.HostGroupVersionConflict, fmt.Sprintf("HostBinding %s projects this group version", other)
		default:
			wanted = append(wanted, gv)
			entry.State, entry.Message = r.stateOf(gv)
		}
		status = append(status, entry)
	}
	binding.Status.GroupVersions = status
	r.summarize(binding)
	return wanted, nil
}

// takenBy returns the other HostBinding that has a group version, from the current stored state. That HostBinding keeps it.
func (r *reconciler) takenBy(ctx context.Context, key client.Key) (map[string]string, error) {
	all, err := client.List[annexv1alpha1.HostBinding](ctx, r.Live, hostBindings, client.Scope{Cluster: key.Cluster})
	if err != nil {
		return nil, err
	}
	taken := map[string]string{}
	for _, other := range all {
		if other.Name == key.Name {
			continue
		}
		for _, gv := range other.Status.GroupVersions {
			if gv.State != annexv1alpha1.HostGroupVersionConflict {
				taken[gv.Name] = other.Name
			}
		}
	}
	return taken, nil
}

// reserved reports whether the server itself uses a group on the host.
func reserved(group string) bool {
	return group == annexv1alpha1.GroupName || group == "kcp.io" || strings.HasSuffix(group, ".kcp.io")
}

// stateOf returns the state of gv on the host.
func (r *reconciler) stateOf(gv schema.GroupVersion) (annexv1alpha1.HostGroupVersionState, string) {
	if r.Registrar == nil {
		return annexv1alpha1.HostGroupVersionPending, "this server does not manage APIServices of the host: create one manually"
	}
	state := r.Registrar.State(gv)
	switch state.Phase {
	case apiservice.Registered:
		return annexv1alpha1.HostGroupVersionRegistered, state.Message
	case apiservice.Available:
		return annexv1alpha1.HostGroupVersionAvailable, state.Message
	case apiservice.Conflict:
		return annexv1alpha1.HostGroupVersionConflict, state.Message
	}
	return annexv1alpha1.HostGroupVersionPending, state.Message
}

// summarize sets the condition that tells whether the host forwards requests for all group versions.
func (r *reconciler) summarize(binding *annexv1alpha1.HostBinding) {
	var conflicts, waiting []string
	for _, gv := range binding.Status.GroupVersions {
		text := gv.Name
		if gv.Message != "" {
			text += ": " + gv.Message
		}
		switch gv.State {
		case annexv1alpha1.HostGroupVersionConflict:
			conflicts = append(conflicts, text)
		case annexv1alpha1.HostGroupVersionPending, annexv1alpha1.HostGroupVersionRegistered:
			waiting = append(waiting, text)
		case annexv1alpha1.HostGroupVersionAvailable:
		}
	}
	switch condition := annexv1alpha1.GroupVersionsRegistered; {
	case len(conflicts) > 0:
		conditionsv1alpha1.MarkFalse(binding, condition, annexv1alpha1.ConflictReason, conditionsv1alpha1.ConditionSeverityError, "%s", strings.Join(conflicts, "; "))
	case r.Registrar == nil:
		conditionsv1alpha1.MarkUnknown(binding, condition, annexv1alpha1.NotManagedReason, "this server does not manage APIServices of the host (--host-apiservice is empty)")
	case len(waiting) > 0:
		conditionsv1alpha1.MarkFalse(binding, condition, annexv1alpha1.RegisteringReason, conditionsv1alpha1.ConditionSeverityInfo, "%s", strings.Join(waiting, "; "))
	default:
		conditionsv1alpha1.MarkTrue(binding, condition)
	}
}
