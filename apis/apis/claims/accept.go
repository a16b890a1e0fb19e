package claims

import (
	"slices"

	apiequality "k8s.io/apimachinery/pkg/api/equality"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

// AcceptAll returns the answers of a binding that accepts all claims of an export, for the objects that the export selects itself. It shares
// nothing with claimed.
func AcceptAll(claimed []apisv1alpha2.PermissionClaim) []apisv1alpha2.AcceptablePermissionClaim {
	var answers []apisv1alpha2.AcceptablePermissionClaim
	for i := range claimed {
		accepted := apisv1alpha2.AcceptablePermissionClaim{State: apisv1alpha2.ClaimAccepted}
		accepted.PermissionClaim, accepted.Selector = *claimed[i].DeepCopy(), apisv1alpha2.PermissionClaimSelector{MatchAll: true}
		if claimed[i].DefaultSelector != nil {
			accepted.Selector = *claimed[i].DefaultSelector.DeepCopy()
		}
		accepted.DefaultSelector = nil
		answers = append(answers, accepted)
	}
	return answers
}

// Step returns the answers to write on the way from the answers is to the answers want: without those whose selector differs, because a
// selector cannot be changed, and an answer has to be removed first. done says that these are the answers want.
func Step(is, want []apisv1alpha2.AcceptablePermissionClaim) (answers []apisv1alpha2.AcceptablePermissionClaim, done bool) {
	for i := range want {
		if !slices.ContainsFunc(is, func(old apisv1alpha2.AcceptablePermissionClaim) bool {
			return KeyOf(&old.PermissionClaim) == KeyOf(&want[i].PermissionClaim) && !apiequality.Semantic.DeepEqual(old.Selector, want[i].Selector)
		}) {
			answers = append(answers, want[i])
		}
	}
	return answers, len(answers) == len(want)
}
