package v1alpha2

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// Server-side apply, which looks at the Go type, sees what JSON has.
func TestAcceptablePermissionClaim_IsReadAsItIsWritten(t *testing.T) {
	claim := AcceptablePermissionClaim{State: ClaimAccepted, ScopedPermissionClaim: ScopedPermissionClaim{
		PermissionClaim: PermissionClaim{
			GroupResource: GroupResource{Group: "g", Resource: "r"}, Verbs: []string{"get"}, IdentityHash: "i", DefaultSelector: &PermissionClaimSelector{MatchAll: true},
		},
		Selector: PermissionClaimSelector{LabelSelector: metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}},
	}}
	seen, err := value.NewValueReflect(&[]AcceptablePermissionClaim{claim})
	if err != nil {
		t.Fatal(err)
	}
	want := []any{map[string]any{
		"group": "g", "resource": "r", "verbs": []any{"get"}, "identityHash": "i", "state": "Accepted",
		"defaultSelector": map[string]any{"matchAll": true}, "selector": map[string]any{"matchLabels": map[string]any{"a": "b"}},
	}}
	if diff := cmp.Diff(want, seen.Unstructured()); diff != "" {
		t.Errorf("seen differs (-want +got):\n%s", diff)
	}
	data, err := json.Marshal(claim)
	if err != nil {
		t.Fatal(err)
	}
	var back AcceptablePermissionClaim
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(claim, back); diff != "" {
		t.Errorf("the round trip differs (-want +got):\n%s", diff)
	}
}
