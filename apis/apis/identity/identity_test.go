package identity

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

func TestHash_IsHexSHA256(t *testing.T) {
	// sha256("abc"), FIPS 180-2 appendix B.1.
	if got, want := Hash([]byte("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; got != want {
		t.Errorf("Hash(abc) = %s, want %s", got, want)
	}
}

func TestNewKey_IsNewEveryTime(t *testing.T) {
	a, b := NewKey(), NewKey()
	if len(a) != 64 || string(a) == string(b) {
		t.Errorf("NewKey() = %s, then %s; want two different keys of 64 digits", a, b)
	}
}

func TestLabels_AreValid(t *testing.T) {
	key, value := ClaimedLabelKey("root", "tenancy.kcp.io"), ExportLabelValue("root", "tenancy.kcp.io")
	if errs := validation.IsQualifiedName(key); len(errs) > 0 {
		t.Errorf("key %q: %v", key, errs)
	}
	if errs := validation.IsValidLabelValue(value); len(errs) > 0 {
		t.Errorf("value %q: %v", value, errs)
	}
	if other := ExportLabelValue("root:tenancy.kcp.io", ""); other == value {
		t.Errorf("different exports have the same label %q", value)
	}
}

func TestClaimLabelValue_IgnoresVerbsAndDefaultSelector(t *testing.T) {
	claim := apisv1alpha2.ScopedPermissionClaim{
		PermissionClaim: apisv1alpha2.PermissionClaim{GroupResource: apisv1alpha2.GroupResource{Resource: "secrets"}, Verbs: []string{"get"}},
		Selector:        apisv1alpha2.PermissionClaimSelector{MatchAll: true},
	}
	value, err := ClaimLabelValue(claim)
	if err != nil {
		t.Fatal(err)
	}
	same := *claim.DeepCopy()
	same.Verbs, same.DefaultSelector = []string{"*"}, &apisv1alpha2.PermissionClaimSelector{MatchAll: true}
	if got, err := ClaimLabelValue(same); err != nil || got != value {
		t.Errorf("other verbs: %q, %v; want %q", got, err, value)
	}
	other := *claim.DeepCopy()
	other.Selector = apisv1alpha2.PermissionClaimSelector{}
	other.Selector.MatchLabels = map[string]string{"a": "b"}
	if got, err := ClaimLabelValue(other); err != nil || got == value {
		t.Errorf("other selector: %q, %v; want another value", got, err)
	}
	if len(claim.Verbs) != 1 {
		t.Error("the claim of the caller was changed")
	}
}

func TestDefaultBindingName_IsAValidName(t *testing.T) {
	for _, export := range []string{"tenancy.kcp.io", strings.Repeat("a", 253), strings.Repeat("a", 246) + ".bcdefg"} {
		name := DefaultBindingName("c1", "root", export)
		if errs := validation.IsDNS1123Subdomain(name); len(errs) > 0 {
			t.Errorf("DefaultBindingName for %q = %q: %v", export, name, errs)
		}
	}
	if a, b := DefaultBindingName("c1", "root", "x"), DefaultBindingName("c1", "root:other", "x"); a == b {
		t.Errorf("exports of the same name in two workspaces are both bound as %q", a)
	}
}
