package claims

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

var (
	provider      = &user.DefaultInfo{Name: "provider"}
	master        = &user.DefaultInfo{Name: "server", Groups: []string{user.SystemPrivilegedGroup}}
	reservedLabel = "claimed.internal.apis.kcp.io/x"
)

func configMap(set map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: set}}
}

func binding(state apisv1alpha2.AcceptablePermissionClaimState, verbs ...string) *apisv1alpha2.APIBinding {
	claim := apisv1alpha2.AcceptablePermissionClaim{State: state}
	claim.Resource, claim.Verbs = "secrets", verbs
	return &apisv1alpha2.APIBinding{Spec: apisv1alpha2.APIBindingSpec{PermissionClaims: []apisv1alpha2.AcceptablePermissionClaim{claim}}}
}

func TestPlugins(t *testing.T) {
	protected := &Grant{Selectors: []labels.Selector{labels.SelectorFromSet(labels.Set{"a": "b"})}, Labels: map[string]string{"a": "b"}}
	selecting := &Grant{Selectors: []labels.Selector{labels.SelectorFromSet(labels.Set{"a": "b"})}}
	everything := &Grant{Selectors: []labels.Selector{labels.Everything()}}
	for name, tc := range map[string]struct {
		grant    *Grant
		obj, old runtime.Object
		who      user.Info
		denied   string
		labels   labels.Set
	}{
		"no claim":                   {nil, configMap(nil), nil, provider, "", nil},
		"a label is added":           {protected, configMap(nil), nil, provider, "", labels.Set{"a": "b"}},
		"and added again":            {protected, configMap(map[string]string{"c": "d"}), configMap(map[string]string{"a": "b"}), provider, "", labels.Set{"a": "b", "c": "d"}},
		"another value":              {protected, configMap(map[string]string{"a": "c"}), configMap(map[string]string{"a": "b"}), provider, "protected label", nil},
		"no match":                   {selecting, configMap(nil), nil, provider, "must match the selector", nil},
		"match":                      {selecting, configMap(map[string]string{"a": "b"}), nil, provider, "", labels.Set{"a": "b"}},
		"a grant of nothing":         {&Grant{}, configMap(nil), nil, provider, "must match the selector", nil},
		"a reserved label":           {nil, configMap(map[string]string{reservedLabel: "x"}), nil, provider, "reserved", nil},
		"one that is removed":        {nil, configMap(nil), configMap(map[string]string{reservedLabel: "x"}), provider, "reserved", nil},
		"one that stays":             {nil, configMap(map[string]string{reservedLabel: "x"}), configMap(map[string]string{reservedLabel: "x"}), provider, "", labels.Set{reservedLabel: "x"}},
		"one by the server":          {nil, configMap(map[string]string{reservedLabel: "x"}), nil, master, "", labels.Set{reservedLabel: "x"}},
		"a provider accepts":         {everything, binding(apisv1alpha2.ClaimAccepted, "get"), nil, provider, "cannot accept", nil},
		"a consumer accepts":         {nil, binding(apisv1alpha2.ClaimAccepted, "get"), nil, provider, "", nil},
		"a provider rejects":         {everything, binding(apisv1alpha2.ClaimRejected, "get"), binding(apisv1alpha2.ClaimAccepted, "get"), provider, "", nil},
		"a provider turns it around": {everything, binding(apisv1alpha2.ClaimAccepted, "get"), binding(apisv1alpha2.ClaimRejected, "get"), provider, "cannot accept", nil},
		"a provider adds a verb":     {everything, binding(apisv1alpha2.ClaimAccepted, "get", "list"), binding(apisv1alpha2.ClaimAccepted, "get"), provider, "cannot accept", nil},
		"a provider takes all verbs": {everything, binding(apisv1alpha2.ClaimAccepted, "*"), binding(apisv1alpha2.ClaimAccepted, "get"), provider, "cannot accept", nil},
		"a provider leaves it":       {everything, binding(apisv1alpha2.ClaimAccepted, "get"), binding(apisv1alpha2.ClaimAccepted, "*"), provider, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Context(t.Context())
			if tc.grant != nil {
				ctx = With(ctx, tc.grant)
			}
			operation := admission.Create
			if tc.old != nil {
				operation = admission.Update
			}
			a := admission.NewAttributesRecord(tc.obj, tc.old, schema.GroupVersionKind{}, "", "a", schema.GroupVersionResource{Resource: "things"}, "", operation, nil, false, tc.who)
			err := NewLabels().(admission.MutationInterface).Admit(ctx, a, nil)
			if err == nil {
				err = New().(admission.ValidationInterface).Validate(ctx, a, nil)
			}
			if (err != nil) != (tc.denied != "") || err != nil && !strings.Contains(err.Error(), tc.denied) {
				t.Errorf("got %v, want %q", err, tc.denied)
			}
			if obj, ok := tc.obj.(*corev1.ConfigMap); ok && err == nil && !labels.Equals(obj.Labels, tc.labels) {
				t.Errorf("labels = %v, want %v", obj.Labels, tc.labels)
			}
		})
	}
}
