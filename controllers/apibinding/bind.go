package apibinding

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/apis/claims"
	"github.com/annex-dev/annex/apis/apis/identity"
	"github.com/annex-dev/annex/apis/apis/lifecycle"
	"github.com/annex-dev/annex/apis/apis/naming"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// bind updates the status of the binding of names, which the caller owns, to what its export offers now. Faults of the export or of the
// cluster become conditions; the error means that bind may be tried again. The caller holds the lock of the cluster.
func (c *Controller) bind(ctx context.Context, names *taken) error {
	key, binding := names.key, names.binding
	if binding.Status.Phase == "" {
		binding.Status.Phase = apisv1alpha2.APIBindingPhaseBinding
	}
	// Existing bindings stay ready if the export is deleted, because bound resources are still served.
	defer summarize(binding)
	export, err := c.exportOf(ctx, key, binding)
	if err != nil {
		return err
	}
	if export == nil {
		narrowClaims(binding)
		return nil
	}
	copyExtraAnnotations(binding, export)
	markLimited(binding, export)
	if names.accepts {
		binding.Spec.PermissionClaims = claims.AcceptAll(export.Spec.PermissionClaims)
	}
	concludeClaims(binding, export)

	var faults []fault
	for _, resource := range export.Spec.Resources {
		f, err := c.bindResource(ctx, names, binding, export, resource)
		if err != nil {
			return err
		}
		if f != nil {
			faults = append(faults, *f)
		}
	}
	copyVirtualStorage(binding, export)
	conclude(binding, faults)
	return c.leave(ctx, key, binding, export)
}

// exportOf returns the export that binding refers to. If it cannot be used, exportOf sets the conditions and returns nil.
func (c *Controller) exportOf(ctx context.Context, key client.Key, binding *apisv1alpha2.APIBinding) (*apisv1alpha2.APIExport, error) {
	reference := binding.Spec.Reference.Export
	invalid := func(severity conditionsv1alpha1.ConditionSeverity, reason, format string, args ...any) {
		conditionsv1alpha1.MarkFalse(binding, apisv1alpha2.APIExportValid, reason, severity, format, args...)
		waitForExport(binding, reason, severity)
	}
	if reference == nil {
		invalid(conditionsv1alpha1.ConditionSeverityError, apisv1alpha2.APIExportInvalidReferenceReason, "the binding does not refer to an APIExport")
		return nil, nil
	}
	provider, found := key.Cluster, true
	if reference.Path != "" {
		var err error
		if provider, found, err = c.Resolver.Resolve(ctx, logicalcluster.Path(reference.Path)); err != nil {
			return nil, fmt.Errorf("finding the workspace of the export of APIBinding %s: %w", key, err)
		}
	}
	if !found {
		// An export of this name may be created in a workspace that does not exist yet.
		c.users.Set(key, client.Key{Name: reference.Name})
		invalid(conditionsv1alpha1.ConditionSeverityError, apisv1alpha2.APIExportNotFoundReason, "APIExport %s:%s not found", reference.Path, reference.Name)
		return nil, nil
	}
	// Set this before the export is read, so that no change of it is missed.
	c.users.Set(key, client.Key{Cluster: provider, Name: reference.Name})
	accepted := identity.AcceptedFor(binding, binding.Status.APIExportClusterName, provider, reference.Name)
	if accepted {
		holdTo(binding, provider)
	}
	export, err := client.Find[apisv1alpha2.APIExport](ctx, c.Client, exports, client.Key{Cluster: provider, Name: reference.Name})
	if err != nil {
		return nil, err
	}
	switch {
	case !lifecycle.CanBeFound(export):
		// It may be created here, or in another workspace that replaces this one.
		c.users.Set(key, client.Key{Name: reference.Name})
		path := reference.Path
		if path == "" {
			path = string(provider)
		}
		invalid(conditionsv1alpha1.ConditionSeverityError, apisv1alpha2.APIExportNotFoundReason, "APIExport %s:%s not found", path, reference.Name)
		return nil, nil
	case !accepted:
		invalid(conditionsv1alpha1.ConditionSeverityError, apisv1alpha2.ProviderChangedReason, "%s",
			identity.ProviderChanged("apibinding", binding, reference.Path, provider))
		return nil, nil
	case !lifecycle.CanBeBound(export):
		invalid(conditionsv1alpha1.ConditionSeverityWarning, apisv1alpha2.MissingIdentityHashReason, "the APIExport has no identity yet")
		return nil, nil
	}
	conditionsv1alpha1.MarkTrue(binding, apisv1alpha2.APIExportValid)
	return export, nil
}

// holdTo remembers that the export of binding is in provider. A default binding has no label yet.
func holdTo(binding *apisv1alpha2.APIBinding, provider logicalcluster.Name) {
	binding.Status.APIExportClusterName = string(provider)
	if binding.Labels[apisv1alpha2.InternalAPIBindingExportLabelKey] != "" {
		return
	}
	binding.Labels = maps.Clone(binding.Labels)
	if binding.Labels == nil {
		binding.Labels = map[string]string{}
	}
	binding.Labels[apisv1alpha2.InternalAPIBindingExportLabelKey] = identity.ExportLabelValue(provider, binding.Spec.Reference.Export.Name)
}

// markLimited remembers on binding whether export has a maximal permission policy. It does not for exports of root, which are never gone:
// bindings to them are in every workspace, and most are not stored.
func markLimited(binding *apisv1alpha2.APIBinding, export *apisv1alpha2.APIExport) {
	limited := export.Spec.MaximalPermissionPolicy != nil && binding.Status.APIExportClusterName != logicalcluster.Root.String()
	if limited == (binding.Annotations[apisv1alpha2.LimitedBindingAnnotationKey] != "") {
		return
	}
	binding.Annotations = maps.Clone(binding.Annotations)
	if !limited {
		delete(binding.Annotations, apisv1alpha2.LimitedBindingAnnotationKey)
		return
	}
	if binding.Annotations == nil {
		binding.Annotations = map[string]string{}
	}
	binding.Annotations[apisv1alpha2.LimitedBindingAnnotationKey] = "local"
}

// fault is the reason why a resource could not be bound.
type fault struct {
	reason   string
	severity conditionsv1alpha1.ConditionSeverity
	message  string
}

// bindResource binds one resource of export, or returns the fault.
func (c *Controller) bindResource(ctx context.Context, names *taken, binding *apisv1alpha2.APIBinding, export *apisv1alpha2.APIExport,
	resource apisv1alpha2.ResourceSchema) (*fault, error) {
	provider := logicalcluster.Name(binding.Status.APIExportClusterName)
	gr := groupResource(resource.Group, resource.Name)
	wanted, err := c.schemaFor(ctx, names.key, binding, export, resource)
	if err != nil {
		return nil, err
	}
	source, err := client.Find[apisv1alpha1.APIResourceSchema](ctx, c.Client, schemas, client.Key{Cluster: provider, Name: wanted})
	if err != nil {
		return nil, err
	}
	if source == nil {
		if keeps(binding, gr, wanted, resource.Schema) {
			return nil, nil
		}
		return invalidSchema("APIResourceSchema %q not found", wanted), nil
	}
	if source.Spec.Names.Plural != resource.Name || source.Spec.Group != resource.Group {
		return invalidSchema("APIResourceSchema %q is not for resource %s", wanted, gr), nil
	}
	before := lifecycle.Resource(binding, gr)
	if before != nil && before.Schema.IdentityHash != export.Status.IdentityHash {
		// Binding it again would hide the existing objects.
		return &fault{apisv1alpha2.APIExportInvalidReferenceReason, conditionsv1alpha1.ConditionSeverityError,
			fmt.Sprintf("resource %s was bound to an APIExport with another identity: to bind this APIExport, delete the binding, which also deletes its objects", gr)}, nil
	}
	if before != nil && before.Schema.UID != string(source.UID) {
		if f, err := c.mayFollow(ctx, before, source); f != nil || err != nil {
			return f, err
		}
	}
	if before != nil && (before.Virtual == nil) != (resource.Storage.Virtual == nil) {
		// Objects that are stored would be hidden, or those of others stored over.
		return &fault{apisv1alpha2.APIExportInvalidReferenceReason, conditionsv1alpha1.ConditionSeverityError,
			fmt.Sprintf("resource %s was bound with another kind of storage: to bind it as the APIExport offers it now, delete the binding, which also deletes its objects", gr)}, nil
	}
	if before == nil || before.Schema.UID != string(source.UID) {
		conflict, err := names.conflict(ctx, gr, naming.OfSchema(source))
		if err != nil {
			return nil, err
		}
		if conflict != "" {
			return &fault{apisv1alpha2.NamingConflictsReason, conditionsv1alpha1.ConditionSeverityError,
				fmt.Sprintf("resource %s cannot be bound: %s", gr, conflict)}, nil
		}
	}
	if c.isTyped(provider, gr) && resource.Storage.Virtual != nil {
		return invalidSchema("resource %s has a storage of its own", gr), nil
	}
	if !c.isTyped(provider, gr) {
		if f, err := c.ensureDefinition(ctx, source); f != nil || err != nil {
			return f, err
		}
	}
	entry := record(binding, gr, source, export.Status.IdentityHash)
	entry.Virtual = nil
	if virtual := resource.Storage.Virtual; virtual != nil {
		entry.Virtual = virtual.Reference.DeepCopy()
	}
	return nil, nil
}

func invalidSchema(format string, args ...any) *fault {
	return &fault{apisv1alpha2.APIResourceSchemaInvalidReason, conditionsv1alpha1.ConditionSeverityError, fmt.Sprintf(format, args...)}
}

// isTyped reports whether gr of an export in provider is served by typed storage. Only root can export such a resource.
func (c *Controller) isTyped(provider logicalcluster.Name, gr schema.GroupResource) bool {
	return provider == logicalcluster.Root && c.IsBound != nil && c.IsBound(gr)
}

func groupResource(group, resource string) schema.GroupResource {
	return schema.GroupResource{Group: group, Resource: resource}
}

// record adds gr, bound with source, to the status, and returns its entry there. Storage versions are only added here:
// controllers/storagemigration removes those in which no object is stored any more.
func record(binding *apisv1alpha2.APIBinding, gr schema.GroupResource, source *apisv1alpha1.APIResourceSchema, identity string) *apisv1alpha2.BoundAPIResource {
	entry := lifecycle.Resource(binding, gr)
	if entry == nil {
		binding.Status.BoundResources = append(binding.Status.BoundResources, apisv1alpha2.BoundAPIResource{Group: gr.Group, Resource: gr.Resource})
		entry = &binding.Status.BoundResources[len(binding.Status.BoundResources)-1]
	}
	entry.Schema = apisv1alpha2.BoundAPIResourceSchema{Name: source.Name, UID: string(source.UID), IdentityHash: identity}
	for _, version := range source.Spec.Versions {
		if version.Storage && !slices.Contains(entry.StorageVersions, version.Name) {
			entry.StorageVersions = append(entry.StorageVersions, version.Name)
			slices.Sort(entry.StorageVersions)
		}
	}
	return entry
}

// conclude sets phase and conditions after all resources were tried.
func conclude(binding *apisv1alpha2.APIBinding, faults []fault) {
	if len(faults) == 0 {
		conditionsv1alpha1.MarkTrue(binding, apisv1alpha2.InitialBindingCompleted)
		conditionsv1alpha1.MarkTrue(binding, apisv1alpha2.BindingUpToDate)
		binding.Status.Phase = apisv1alpha2.APIBindingPhaseBound
		return
	}
	messages := make([]string, 0, len(faults))
	for _, f := range faults {
		messages = append(messages, f.message)
	}
	worst, message := faults[0], strings.Join(messages, "; ")
	conditionsv1alpha1.MarkFalse(binding, apisv1alpha2.BindingUpToDate, worst.reason, worst.severity, "%s", message)
	if !conditionsv1alpha1.IsTrue(binding, apisv1alpha2.InitialBindingCompleted) {
		conditionsv1alpha1.MarkFalse(binding, apisv1alpha2.InitialBindingCompleted, worst.reason, worst.severity, "%s", message)
	}
}

// copyVirtualStorage makes the condition of binding that says whether the endpoints of virtual storage are there that of export.
func copyVirtualStorage(binding *apisv1alpha2.APIBinding, export *apisv1alpha2.APIExport) {
	found := conditionsv1alpha1.Get(export, apisv1alpha2.VirtualStorageReady)
	if found == nil {
		conditionsv1alpha1.Delete(binding, apisv1alpha2.VirtualStorageReady)
		return
	}
	conditionsv1alpha1.Set(binding, *found)
}

// waitForExport sets the condition of a binding that was never complete and waits for its export.
func waitForExport(binding *apisv1alpha2.APIBinding, reason string, severity conditionsv1alpha1.ConditionSeverity) {
	if conditionsv1alpha1.IsTrue(binding, apisv1alpha2.InitialBindingCompleted) {
		return
	}
	message := conditionsv1alpha1.GetMessage(binding, apisv1alpha2.APIExportValid)
	conditionsv1alpha1.MarkFalse(binding, apisv1alpha2.InitialBindingCompleted, reason, severity, "%s", message)
}

func summarize(binding *apisv1alpha2.APIBinding) {
	conditionsv1alpha1.SetSummary(binding, apisv1alpha2.InitialBindingCompleted)
}

// copyExtraAnnotations makes the annotations of binding that begin with extra.apis.kcp.io/ those of export.
func copyExtraAnnotations(binding *apisv1alpha2.APIBinding, export *apisv1alpha2.APIExport) {
	extra := func(key, _ string) bool { return strings.HasPrefix(key, apisv1alpha2.ExtraAnnotationPrefix) }
	annotations := maps.Clone(binding.Annotations)
	maps.DeleteFunc(annotations, extra)
	for key, value := range export.Annotations {
		if !extra(key, value) {
			continue
		}
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[key] = value
	}
	binding.Annotations = annotations
}
