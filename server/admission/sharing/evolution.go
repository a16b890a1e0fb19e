package sharing

import (
	"context"
	"fmt"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/room"
	"github.com/annex-dev/annex/schemas/change"
	"github.com/annex-dev/annex/schemas/crd"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/apistatus"
)

// maxTold is how many breaking changes of a resource an answer lists.
const maxTold = 10

// evolutionPlugin refuses a schema that would break the consumers of the one that it replaces, unless an annotation of the APIExport names it. What
// consumers have bound counts, not what the APIExport said before: an entry that was removed and comes back is compared, too, and so is an APIExport
// that is created again. A schema that does not exist yet is compared when it is created. An APIExport without consumers may change in any way, and one
// with an APIExportRollout may return to the schema that consumers come from.
type evolutionPlugin struct {
	*admission.Handler
	Config
}

var _ admission.ValidationInterface = &evolutionPlugin{}

// Validate implements admission.ValidationInterface. It holds for the server's own writes, too: it publishes for others.
func (p *evolutionPlugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	switch obj := a.GetObject().(type) {
	case *apisv1alpha2.APIExport:
		if request.Is(a, apiExports) {
			return p.validateExport(ctx, a, obj)
		}
	case *apisv1alpha1.APIResourceSchema:
		if request.Is(a, schemas) && a.GetOperation() == admission.Create {
			return p.validateSchema(ctx, a, obj)
		}
	}
	return nil
}

func (p *evolutionPlugin) validateExport(ctx context.Context, a admission.Attributes, export *apisv1alpha2.APIExport) error {
	before := map[apisv1alpha2.ResourceSchema]bool{}
	if old, ok := a.GetOldObject().(*apisv1alpha2.APIExport); ok {
		for _, entry := range old.Spec.Resources {
			entry.Storage = apisv1alpha2.ResourceSchemaStorage{}
			before[entry] = true
		}
	}
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	b := &broken{plugin: p, cluster: cluster, export: export.Name}
	var errs field.ErrorList
	for i, entry := range export.Spec.Resources {
		same := entry
		same.Storage = apisv1alpha2.ResourceSchemaStorage{}
		if before[same] || change.Allowed(export.Annotations, entry.Schema) {
			continue
		}
		bound, err := b.bound(ctx)
		if err != nil {
			return err
		}
		if len(bound[resourceOf(entry)]) == 0 {
			continue
		}
		back, err := b.wayBack(ctx, entry)
		if err != nil {
			return err
		}
		if back {
			continue
		}
		next, err := client.FindNow[apisv1alpha1.APIResourceSchema](ctx, p.Cached, p.Live, schemas, client.Key{Cluster: cluster, Name: entry.Schema})
		if err != nil {
			return apistatus.Internal(err)
		}
		if next == nil {
			continue // nobody can bind it: it is compared when it is created
		}
		faults, err := b.by(ctx, entry, next, field.NewPath("spec", "resources").Index(i).Child("schema"))
		if err != nil {
			return err
		}
		errs = append(errs, faults...)
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(a.GetKind().GroupKind(), export.Name, errs)
	}
	return nil
}

// validateSchema checks a schema that an APIExport names already.
func (p *evolutionPlugin) validateSchema(ctx context.Context, a admission.Attributes, next *apisv1alpha1.APIResourceSchema) error {
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	all, err := client.List[apisv1alpha2.APIExport](ctx, p.Live, apiExports, client.Scope{Cluster: cluster})
	if err != nil {
		return apistatus.Internal(err)
	}
	for _, export := range all {
		for _, entry := range export.Spec.Resources {
			if entry.Schema != next.Name || change.Allowed(export.Annotations, next.Name) {
				continue
			}
			b := &broken{plugin: p, cluster: cluster, export: export.Name}
			errs, err := b.by(ctx, entry, next, field.NewPath("spec", "versions"))
			if err != nil {
				return err
			}
			if len(errs) > 0 {
				return apierrors.NewInvalid(a.GetKind().GroupKind(), next.Name, errs)
			}
		}
	}
	return nil
}

// resource is a resource of an APIExport.
type resource struct{ group, name string }

func resourceOf(entry apisv1alpha2.ResourceSchema) resource { return resource{entry.Group, entry.Name} }

// broken finds out what breaks for the consumers of one APIExport.
type broken struct {
	plugin  *evolutionPlugin
	cluster logicalcluster.Name
	export  string

	known map[resource]map[apisv1alpha2.BoundAPIResourceSchema]int
}

// bound returns how many workspaces have bound each resource with each schema.
func (b *broken) bound(ctx context.Context) (map[resource]map[apisv1alpha2.BoundAPIResourceSchema]int, error) {
	if b.known != nil {
		return b.known, nil
	}
	all, err := client.List[apisv1alpha2.APIBinding](ctx, b.plugin.Live, apiBindings, client.Scope{Selector: identity.BindingsTo(b.cluster, b.export)})
	if err != nil {
		return nil, apistatus.Internal(err)
	}
	b.known = map[resource]map[apisv1alpha2.BoundAPIResourceSchema]int{}
	for _, binding := range all {
		for _, r := range binding.Status.BoundResources {
			at := resource{r.Group, r.Resource}
			if b.known[at] == nil {
				b.known[at] = map[apisv1alpha2.BoundAPIResourceSchema]int{}
			}
			b.known[at][r.Schema]++
		}
	}
	return b.known, nil
}

// wayBack reports whether the schema of entry is the one that consumers come from in a rollout: whoever rolls a change out may take it back.
func (b *broken) wayBack(ctx context.Context, entry apisv1alpha2.ResourceSchema) (bool, error) {
	r, err := client.Find[annexv1alpha1.APIExportRollout](ctx, b.plugin.Live, rollouts, client.Key{Cluster: b.cluster, Name: b.export})
	if err != nil {
		return false, apistatus.Internal(err)
	}
	return r != nil && slices.ContainsFunc(r.Status.Resources, func(res annexv1alpha1.RolloutResource) bool {
		return res.Group == entry.Group && res.Resource == entry.Name && res.From == entry.Schema
	}), nil
}

// by returns what next breaks for the consumers that have bound the resource of entry, as errors at path; none if there are no consumers.
func (b *broken) by(ctx context.Context, entry apisv1alpha2.ResourceSchema, next *apisv1alpha1.APIResourceSchema, path *field.Path) (field.ErrorList, error) {
	bound, err := b.bound(ctx)
	if err != nil {
		return nil, err
	}
	var told []string
	seen, workspaces := map[string]bool{}, 0
	for schema, n := range bound[resourceOf(entry)] {
		now, err := client.FindNow[apiextensionsv1.CustomResourceDefinition](ctx, b.plugin.Cached, b.plugin.Live, crds, client.Key{Cluster: logicalcluster.SystemBoundCRDs, Name: schema.UID})
		if err != nil {
			return nil, apistatus.Internal(err)
		}
		if now == nil || schema.UID == string(next.UID) {
			continue // nothing serves the resource to them, or this does
		}
		breaking, err := between(now, next)
		if err != nil {
			return nil, err
		}
		if len(breaking) > 0 {
			workspaces += n
		}
		for _, c := range breaking {
			if line := c.String(); !seen[line] {
				seen[line] = true
				told = append(told, line)
			}
		}
	}
	if len(told) == 0 {
		return nil, nil
	}
	var errs field.ErrorList
	for _, line := range told[:min(len(told), maxTold)] {
		errs = append(errs, field.Invalid(path, next.Name, "breaking change: "+line))
	}
	if more := len(told) - maxTold; more > 0 {
		errs = append(errs, field.Invalid(path, next.Name, fmt.Sprintf("%d more breaking changes", more)))
	}
	return append(errs, field.Forbidden(path, fmt.Sprintf("the changes can break %d workspaces that have bound %s. An APIChangeReport lists the objects that would become invalid. "+
		"To replace the schema nevertheless, set the annotation %s=%s on the APIExport, or on the CustomResourceDefinition that publishes it",
		workspaces, next.Spec.Names.Plural+"."+next.Spec.Group, annexv1alpha1.AllowBreakingChangeAnnotationKey, next.Name))), nil
}

// between returns the breaking changes from a definition to a schema.
func between(now *apiextensionsv1.CustomResourceDefinition, next *apisv1alpha1.APIResourceSchema) (breaking []change.Change, err error) {
	size := now.Size()
	for _, v := range next.Spec.Versions {
		size += len(v.Schema.Raw)
	}
	room.Large(size, func() {
		var definition *apiextensionsv1.CustomResourceDefinition
		if definition, err = crd.FromSchema(next); err == nil {
			breaking = change.Breaking(change.Between(now, definition))
		}
	})
	if err != nil {
		return nil, apistatus.Internal(err)
	}
	return breaking, nil
}
