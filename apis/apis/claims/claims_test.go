package claims

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

func claim(resource, identity string, verbs ...string) apisv1alpha2.PermissionClaim {
	return apisv1alpha2.PermissionClaim{GroupResource: apisv1alpha2.GroupResource{Resource: resource}, IdentityHash: identity, Verbs: verbs}
}

func answer(state apisv1alpha2.AcceptablePermissionClaimState, c apisv1alpha2.PermissionClaim) apisv1alpha2.AcceptablePermissionClaim {
	return apisv1alpha2.AcceptablePermissionClaim{State: state, ScopedPermissionClaim: apisv1alpha2.ScopedPermissionClaim{
		PermissionClaim: c,
		Selector:        apisv1alpha2.PermissionClaimSelector{LabelSelector: metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}},
	}}
}

func TestIntersect_AllVerbsMeansAllVerbs(t *testing.T) {
	for name, tc := range map[string]struct{ a, b, want []string }{
		"both all":         {[]string{"*"}, []string{"*"}, []string{"*"}},
		"the export all":   {[]string{"*"}, []string{"get", "list"}, []string{"get", "list"}},
		"the consumer all": {[]string{"get", "list"}, []string{"*"}, []string{"get", "list"}},
		"some in common":   {[]string{"get", "create"}, []string{"list", "get"}, []string{"get"}},
		"none in common":   {[]string{"get"}, []string{"list"}, nil},
		"none":             {[]string{"*"}, nil, nil},
	} {
		if diff := cmp.Diff(tc.want, Intersect(tc.a, tc.b)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestMeet(t *testing.T) {
	claimed := []apisv1alpha2.PermissionClaim{
		claim("secrets", "", "get", "list"), claim("configmaps", "", "*"), claim("events", "", "create"), claim("widgets", "mine", "*"), claim("leases", "", "get"),
	}
	answers := []apisv1alpha2.AcceptablePermissionClaim{
		answer(apisv1alpha2.ClaimAccepted, claim("secrets", "", "*")), answer(apisv1alpha2.ClaimRejected, claim("configmaps", "", "*")),
		answer(apisv1alpha2.ClaimAccepted, claim("widgets", "other", "*")), answer(apisv1alpha2.ClaimRejected, claim("gadgets", "", "*")),
		answer(apisv1alpha2.ClaimAccepted, claim("leases", "", "list")),
	}
	got := Meet(claimed, answers)
	want := Met{
		Applied: []apisv1alpha2.ScopedPermissionClaim{answer("", claim("secrets", "", "get", "list")).ScopedPermissionClaim},
		Open:    []Key{{Resource: "events"}, {Resource: "widgets", IdentityHash: "mine"}},
		Unknown: []Key{{Resource: "widgets", IdentityHash: "other"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("unexpected result (-want +got):\n%s", diff)
	}
}

func TestSupportOf(t *testing.T) {
	for gr, want := range map[apisv1alpha2.GroupResource]Support{
		{Resource: "secrets"}: Stored, {Group: "authorization.k8s.io", Resource: "subjectaccessreviews"}: Review,
		{Group: "authorization.k8s.io", Resource: "selfsubjectaccessreviews"}: Unclaimable, {Resource: "limitranges"}: Unclaimable,
		{Group: "apis.kcp.io", Resource: "apiconversions"}: Stored, {Group: "certificates.k8s.io", Resource: "certificatesigningrequests"}: Stored, {Group: "example.com", Resource: "widgets"}: Unclaimable,
	} {
		if got := SupportOf(gr); got != want {
			t.Errorf("%v: %v, want %v", gr, got, want)
		}
	}
}

func TestOf_EventsOfBothGroupsAreTheSame(t *testing.T) {
	export := &apisv1alpha2.APIExport{Spec: apisv1alpha2.APIExportSpec{PermissionClaims: []apisv1alpha2.PermissionClaim{claim("events", "", "get")}}}
	for _, group := range []string{"", "events.k8s.io"} {
		if found := Of(export, apisv1alpha2.GroupResource{Group: group, Resource: "events"}); len(found) != 1 {
			t.Errorf("group %q: %v", group, found)
		}
	}
	if found := Of(export, apisv1alpha2.GroupResource{Group: "example.com", Resource: "events"}); len(found) != 0 {
		t.Errorf("events of another group: %v", found)
	}
}
