package claims

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

func claimOn(resource string, labels map[string]string) apisv1alpha2.PermissionClaim {
	claim := apisv1alpha2.PermissionClaim{GroupResource: apisv1alpha2.GroupResource{Resource: resource}, Verbs: []string{"get"}}
	if labels != nil {
		claim.DefaultSelector = &apisv1alpha2.PermissionClaimSelector{}
		claim.DefaultSelector.MatchLabels = labels
	}
	return claim
}

func TestAcceptAll_TakesTheDefaultSelector(t *testing.T) {
	claimed := []apisv1alpha2.PermissionClaim{claimOn("configmaps", nil), claimOn("secrets", map[string]string{"a": "b"})}
	answers := AcceptAll(claimed)
	if len(answers) != 2 || !answers[0].Selector.MatchAll || answers[1].Selector.MatchAll || answers[1].Selector.MatchLabels["a"] != "b" {
		t.Errorf("answers are %+v", answers)
	}
	for _, answer := range answers {
		if answer.State != apisv1alpha2.ClaimAccepted || answer.DefaultSelector != nil {
			t.Errorf("answer is %+v", answer)
		}
	}
	answers[1].Selector.MatchLabels["a"], answers[0].Verbs[0] = "changed", "changed"
	if claimed[1].DefaultSelector.MatchLabels["a"] != "b" || claimed[0].Verbs[0] != "get" {
		t.Error("the claims of the caller were changed")
	}
}

func TestStep_SelectorsAreReplacedInTwoSteps(t *testing.T) {
	is := AcceptAll([]apisv1alpha2.PermissionClaim{claimOn("secrets", map[string]string{"a": "b"}), claimOn("events", nil)})
	is[1].State = apisv1alpha2.ClaimRejected
	want := AcceptAll([]apisv1alpha2.PermissionClaim{claimOn("secrets", map[string]string{"c": "d"}), claimOn("events", nil), claimOn("configmaps", nil)})
	first, done := Step(is, want)
	if diff := cmp.Diff(want[1:], first); diff != "" || done {
		t.Errorf("first step, done %t (-want +got):\n%s", done, diff)
	}
	second, done := Step(first, want)
	if diff := cmp.Diff(want, second); diff != "" || !done {
		t.Errorf("second step, done %t (-want +got):\n%s", done, diff)
	}
}
