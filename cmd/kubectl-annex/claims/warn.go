package claims

import (
	"fmt"
	"slices"
	"strings"

	"github.com/annex-dev/annex/apis/apis/claims"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

// Warnings returns a sentence for each claim of the export that a binding does not answer, or answers with other verbs.
func Warnings(binding *apisv1alpha2.APIBinding) []string {
	var out []string
	for i := range binding.Status.ExportPermissionClaims {
		exported := &binding.Status.ExportPermissionClaims[i]
		name := claims.KeyOf(exported).String()
		answer := find(binding.Spec.PermissionClaims, claims.KeyOf(exported))
		switch {
		case answer == nil:
			out = append(out, fmt.Sprintf("claim for %s exported but not specified on APIBinding %s. Add this claim to the APIBinding's Spec.", name, binding.Name))
		case answer.State != apisv1alpha2.ClaimAccepted && answer.State != apisv1alpha2.ClaimRejected:
			out = append(out, fmt.Sprintf("claim for %s specified on APIBinding %s but not accepted or rejected.", name, binding.Name))
		case answer.State == apisv1alpha2.ClaimAccepted && !covers(answer.Verbs, exported.Verbs):
			out = append(out, fmt.Sprintf("allowed verbs %s on claim for %s on APIBinding %s do not match expected verbs %s.",
				strings.Join(answer.Verbs, ","), name, binding.Name, strings.Join(exported.Verbs, ",")))
		}
	}
	return out
}

func find(answers []apisv1alpha2.AcceptablePermissionClaim, key claims.Key) *apisv1alpha2.AcceptablePermissionClaim {
	for i := range answers {
		if claims.KeyOf(&answers[i].PermissionClaim) == key {
			return &answers[i]
		}
	}
	return nil
}

// covers reports whether the verbs that a binding allows are those that the export wants. All verbs are enough for everybody.
func covers(allowed, wanted []string) bool {
	if slices.Contains(allowed, "*") {
		return true
	}
	return !slices.Contains(wanted, "*") && len(allowed) == len(wanted) &&
		!slices.ContainsFunc(wanted, func(verb string) bool { return !slices.Contains(allowed, verb) })
}
