package apibinding

import (
	"fmt"
	"strings"

	"github.com/annex-dev/annex/apis/apis/claims"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// concludeClaims writes into the status of binding what export claims and which claims are in effect. The virtual workspace of the export
// comes to the same result by itself: it does not wait for the status.
func concludeClaims(binding *apisv1alpha2.APIBinding, export *apisv1alpha2.APIExport) {
	binding.Status.ExportPermissionClaims = nil
	for _, claim := range export.Spec.PermissionClaims {
		binding.Status.ExportPermissionClaims = append(binding.Status.ExportPermissionClaims, *claim.DeepCopy())
	}
	met := claims.Meet(export.Spec.PermissionClaims, binding.Spec.PermissionClaims)
	binding.Status.AppliedPermissionClaims = met.Applied
	if len(met.Unknown) > 0 {
		message := fmt.Sprintf("the APIExport does not claim what is accepted: %s", listed(met.Unknown))
		for _, condition := range []conditionsv1alpha1.ConditionType{apisv1alpha2.PermissionClaimsValid, apisv1alpha2.PermissionClaimsApplied} {
			conditionsv1alpha1.MarkFalse(binding, condition, apisv1alpha2.InvalidPermissionClaimsReason, conditionsv1alpha1.ConditionSeverityError, "%s", message)
		}
		return
	}
	conditionsv1alpha1.MarkTrue(binding, apisv1alpha2.PermissionClaimsApplied)
	if len(met.Open) > 0 {
		conditionsv1alpha1.MarkFalse(binding, apisv1alpha2.PermissionClaimsValid, apisv1alpha2.PermissionClaimsMismatchReason, conditionsv1alpha1.ConditionSeverityWarning,
			"claims are neither accepted nor rejected: %s", listed(met.Open))
		return
	}
	conditionsv1alpha1.MarkTrue(binding, apisv1alpha2.PermissionClaimsValid)
}

// narrowClaims makes the status of binding follow its answers while there is no export to follow: of what the export asked last, it says what the
// consumer accepts now. Nothing is in effect until the export is back.
func narrowClaims(binding *apisv1alpha2.APIBinding) {
	binding.Status.AppliedPermissionClaims = claims.Meet(binding.Status.ExportPermissionClaims, binding.Spec.PermissionClaims).Applied
}

func listed(keys []claims.Key) string {
	var all []string
	for _, key := range keys {
		all = append(all, key.String())
	}
	return strings.Join(all, ", ")
}
