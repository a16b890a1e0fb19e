package sharing

import (
	"context"
	"encoding/json"
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/room"
	"github.com/annex-dev/annex/schemas/conversion"
	"github.com/annex-dev/annex/schemas/crd"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/apistatus"
)

// conversionPlugin checks that the rules of an APIConversion fit the APIResourceSchema of the same name. An update that leaves them alone is not
// checked, because the schema may be gone.
type conversionPlugin struct {
	*admission.Handler
	Config
}

var _ admission.ValidationInterface = &conversionPlugin{}

// Validate implements admission.ValidationInterface.
func (p *conversionPlugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	c, ok := a.GetObject().(*apisv1alpha1.APIConversion)
	if !ok || !request.Is(a, conversions) {
		return nil
	}
	if old, ok := a.GetOldObject().(*apisv1alpha1.APIConversion); ok && apiequality.Semantic.DeepEqual(old.Spec, c.Spec) {
		return nil
	}
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	source, err := client.FindNow[apisv1alpha1.APIResourceSchema](ctx, p.Cached, p.Live, schemas, client.Key{Cluster: cluster, Name: c.Name})
	if err != nil {
		return apistatus.Internal(err)
	}
	warnings, errs := checkRules(c, source)
	if len(errs) > 0 {
		return apierrors.NewInvalid(a.GetKind().GroupKind(), c.Name, errs)
	}
	for _, text := range warnings {
		warning.AddWarning(ctx, "", text)
	}
	return nil
}

// checkRules returns what is wrong with the rules of c for its schema, nil if there is none, and otherwise what users should know of them.
func checkRules(c *apisv1alpha1.APIConversion, source *apisv1alpha1.APIResourceSchema) (warnings []string, errs field.ErrorList) {
	if source == nil {
		return nil, field.ErrorList{field.Invalid(field.NewPath("metadata", "name"), c.Name, "must be the name of an APIResourceSchema in the same workspace, and there is none of this name")}
	}
	definition, err := crd.FromSchema(source)
	if err != nil {
		return nil, field.ErrorList{field.InternalError(field.NewPath("metadata", "name"), err)}
	}
	rules, err := json.Marshal(&c.Spec)
	if err != nil {
		return nil, field.ErrorList{field.InternalError(field.NewPath("spec"), fmt.Errorf("encoding the rules: %w", err))}
	}
	room.Large(definition.Size()+len(rules), func() {
		if _, errs = conversion.Compile(&c.Spec, definition); len(errs) == 0 {
			warnings = conversion.Dropped(&c.Spec, definition)
		}
	})
	return warnings, errs
}

// conversionUsePlugin keeps APIConversions of APIResourceSchemas that an APIExport of their workspace offers in several versions. Without it,
// objects would be served in all versions with the fields of the one in which they are stored.
type conversionUsePlugin struct {
	*admission.Handler
	exports exports
}

var _ admission.ValidationInterface = &conversionUsePlugin{}

// Validate implements admission.ValidationInterface. Deleting a workspace deletes its APIConversions, whatever needs them.
func (p *conversionUsePlugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if !request.Is(a, conversions) || request.IsMaster(a) {
		return nil
	}
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	name := a.GetName()
	if old, ok := a.GetOldObject().(*apisv1alpha1.APIConversion); ok {
		name = old.Name // a deletion of many names none
	}
	source, err := client.Find[apisv1alpha1.APIResourceSchema](ctx, p.exports.Live, schemas, client.Key{Cluster: cluster, Name: name})
	if err != nil {
		return apistatus.Internal(err)
	}
	if source == nil || len(source.Spec.Versions) < 2 {
		return nil
	}
	export, err := p.exports.offering(ctx, cluster, name)
	if err != nil {
		return err
	}
	if export == "" {
		user, err := p.exports.rollingOut(ctx, cluster, name)
		if err != nil || user == "" {
			return err
		}
		return admission.NewForbidden(a, fmt.Errorf("the APIResourceSchema of the same name, which has several versions, is in use by APIExportRollout %q: wait until it is complete", user))
	}
	return admission.NewForbidden(a, fmt.Errorf("APIExport %q offers the APIResourceSchema of the same name, which has several versions: remove it from spec.resources there first", export))
}
