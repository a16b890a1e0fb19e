package sharing

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/apis/annex/rollout"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/schemas/change"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/apistatus"
)

// rolloutPlugin checks apiexportrollouts. They decide which schemas consumers have, as the APIExport does. So their author must have permission to
// update it. One that holds consumers back cannot be deleted: all of them would get the new schemas at once.
type rolloutPlugin struct {
	*admission.Handler
	exports exports
}

var _ admission.ValidationInterface = &rolloutPlugin{}

// Validate implements admission.ValidationInterface. Deleting a workspace deletes its rollouts, whatever they do.
func (p *rolloutPlugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if !request.Is(a, rollouts) || request.IsMaster(a) {
		return nil
	}
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	name := a.GetName()
	if r, ok := a.GetObject().(*annexv1alpha1.APIExportRollout); ok {
		name = r.Name // a creation may name none
	}
	if old, ok := a.GetOldObject().(*annexv1alpha1.APIExportRollout); ok {
		name = old.Name // a deletion of many names none
	}
	allowed, err := request.Allowed(ctx, p.exports.Authorizer, a, cluster, cluster, "update", apisv1alpha2.SchemeGroupVersion.WithResource(apiExports.Resource), name)
	if err != nil {
		return apistatus.Internal(err)
	}
	if !allowed {
		return admission.NewForbidden(a, fmt.Errorf("no permission to update APIExport %q", name))
	}
	if a.GetOperation() != admission.Delete {
		return nil
	}
	return p.mayGo(ctx, a, cluster, name)
}

// mayGo returns an error if the rollout called name holds consumers back now.
func (p *rolloutPlugin) mayGo(ctx context.Context, a admission.Attributes, cluster logicalcluster.Name, name string) error {
	key := client.Key{Cluster: cluster, Name: name}
	r, err := client.Find[annexv1alpha1.APIExportRollout](ctx, p.exports.Live, rollouts, key)
	if err != nil {
		return apistatus.Internal(err)
	}
	if r == nil {
		return nil
	}
	export, err := client.Find[apisv1alpha2.APIExport](ctx, p.exports.Live, apiExports, key)
	if err != nil {
		return apistatus.Internal(err)
	}
	if export == nil || rollout.Settled(r) && !outdated(r, export) {
		return nil
	}
	return admission.NewForbidden(a, fmt.Errorf("the rollout holds consumers back, and without it all of them would get the schemas of APIExport %q at once: wait until it is complete, "+
		"or name the previous schemas in the APIExport first", name))
}

// outdated reports whether export names another schema than the status of r, which follows in a moment.
func outdated(r *annexv1alpha1.APIExportRollout, export *apisv1alpha2.APIExport) bool {
	return slices.ContainsFunc(r.Status.Resources, func(res annexv1alpha1.RolloutResource) bool {
		return slices.ContainsFunc(export.Spec.Resources, func(now apisv1alpha2.ResourceSchema) bool {
			return now.Group == res.Group && now.Name == res.Resource && now.Schema != res.To
		})
	})
}

// rolloutChangePlugin checks the schemas that an APIExport with an APIExportRollout newly names: while consumers have two schemas, objects must be
// readable with both, and an undo must be possible.
type rolloutChangePlugin struct {
	*admission.Handler
	exports exports
}

var _ admission.ValidationInterface = &rolloutChangePlugin{}

// Validate implements admission.ValidationInterface.
func (p *rolloutChangePlugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	export, ok := a.GetObject().(*apisv1alpha2.APIExport)
	old, had := a.GetOldObject().(*apisv1alpha2.APIExport)
	if !ok || !had || !request.Is(a, apiExports) {
		return nil
	}
	type replaced struct {
		at       int
		resource *apisv1alpha2.ResourceSchema
		before   string
	}
	var changes []replaced
	for i := range export.Spec.Resources {
		now := &export.Spec.Resources[i]
		j := slices.IndexFunc(old.Spec.Resources, func(r apisv1alpha2.ResourceSchema) bool { return r.Group == now.Group && r.Name == now.Name })
		if j >= 0 && old.Spec.Resources[j].Schema != now.Schema {
			changes = append(changes, replaced{i, now, old.Spec.Resources[j].Schema})
		}
	}
	if len(changes) == 0 {
		return nil
	}
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	r, err := client.Find[annexv1alpha1.APIExportRollout](ctx, p.exports.Live, rollouts, client.Key{Cluster: cluster, Name: export.Name})
	if err != nil {
		return apistatus.Internal(err)
	}
	if r == nil {
		return nil
	}
	var errs field.ErrorList
	for _, c := range changes {
		froms := []string{c.before}
		for _, res := range r.Status.Resources {
			if res.Group == c.resource.Group && res.Resource == c.resource.Name && !rollout.Settled(r) {
				froms = append(froms, res.From)
			}
		}
		fault, err := p.fault(ctx, cluster, c.resource.Schema, froms)
		if err != nil {
			return apistatus.Internal(err)
		}
		if fault != "" {
			at := field.NewPath("spec", "resources").Index(c.at).Child("schema")
			errs = append(errs, field.Invalid(at, c.resource.Schema, fmt.Sprintf("cannot be rolled out by APIExportRollout %q: %s", r.Name, fault)))
		}
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(a.GetKind().GroupKind(), export.Name, errs)
	}
	return nil
}

// fault returns why consumers could not return from the schema called to to one of froms; empty if they could.
func (p *rolloutChangePlugin) fault(ctx context.Context, cluster logicalcluster.Name, to string, froms []string) (string, error) {
	target, err := client.Find[apisv1alpha1.APIResourceSchema](ctx, p.exports.Live, schemas, client.Key{Cluster: cluster, Name: to})
	if err != nil {
		return "", err
	}
	if target == nil {
		return "there is no such APIResourceSchema in this workspace", nil
	}
	for _, name := range froms {
		from, err := client.Find[apisv1alpha1.APIResourceSchema](ctx, p.exports.Live, schemas, client.Key{Cluster: cluster, Name: name})
		if err != nil {
			return "", err
		}
		if from == nil {
			continue // nobody could bind it, and nobody can return to it
		}
		if fault := change.NoWayBack(from, target); fault != "" {
			return fault, nil
		}
	}
	return "", nil
}
