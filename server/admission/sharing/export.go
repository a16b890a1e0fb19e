package sharing

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/schemas/validation"
	"github.com/annex-dev/annex/server/admission/request"
)

// exportPlugin checks apiexports.
type exportPlugin struct{ *admission.Handler }

var _ admission.MutationInterface = &exportPlugin{}

// Admit implements admission.MutationInterface. It changes nothing. It runs here because kcp answers Forbidden, and
// validation, which runs later, would answer Invalid.
func (p *exportPlugin) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	export, ok := a.GetObject().(*apisv1alpha2.APIExport)
	if !ok || !request.Is(a, apiExports) {
		return nil
	}
	for i, resource := range export.Spec.Resources {
		group := resource.Group
		if group == "" {
			group = apisv1alpha2.APIResourceSchemaCoreSuffix
		}
		if suffix := "." + resource.Name + "." + group; !strings.HasSuffix(resource.Schema, suffix) {
			return admission.NewForbidden(a, fmt.Errorf("spec.resources[%d].schema: Invalid value: %q: %s", i, resource.Schema,
				validation.WrongSchemaName(resource.Schema, resource.Name, group)))
		}
	}
	for i := range export.Spec.PermissionClaims {
		claim := &export.Spec.PermissionClaims[i]
		if fault := validation.MissingIdentityHash(claim, field.NewPath("spec", "permissionClaims").Index(i)); fault != nil && claim.Resource != "" {
			return admission.NewForbidden(a, fault)
		}
	}
	return nil
}
