package authorization

import (
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
)

func TestAnswer_SaysWhichSelectorsItIgnores(t *testing.T) {
	t.Parallel()
	field := func(operator metav1.FieldSelectorOperator, values ...string) metav1.FieldSelectorRequirement {
		return metav1.FieldSelectorRequirement{Key: "a", Operator: operator, Values: values}
	}
	label := func(key string, operator metav1.LabelSelectorOperator, values ...string) metav1.LabelSelectorRequirement {
		return metav1.LabelSelectorRequirement{Key: key, Operator: operator, Values: values}
	}
	const fields, labels = "spec.resourceAttributes.fieldSelector", "spec.resourceAttributes.labelSelector"
	for name, tt := range map[string]struct {
		fields *authorizationv1.FieldSelectorAttributes
		labels *authorizationv1.LabelSelectorAttributes
		want   string
	}{
		"none":      {},
		"raw":       {fields: &authorizationv1.FieldSelectorAttributes{RawSelector: "a=b"}, labels: &authorizationv1.LabelSelectorAttributes{RawSelector: "a in (b)"}},
		"bad field": {fields: &authorizationv1.FieldSelectorAttributes{RawSelector: "a"}, want: fields + " ignored due to parse error"},
		"bad label": {labels: &authorizationv1.LabelSelectorAttributes{RawSelector: "a in"}, want: labels + " ignored due to parse error"},
		"read": {
			fields: &authorizationv1.FieldSelectorAttributes{Requirements: []metav1.FieldSelectorRequirement{field("In", "b"), field("NotIn", "c")}},
			labels: &authorizationv1.LabelSelectorAttributes{Requirements: []metav1.LabelSelectorRequirement{label("a", "Exists"), label("b", "NotIn", "c")}},
		},
		"partly read": {
			fields: &authorizationv1.FieldSelectorAttributes{Requirements: []metav1.FieldSelectorRequirement{field("In", "b"), field("In", "b", "c")}},
			labels: &authorizationv1.LabelSelectorAttributes{Requirements: []metav1.LabelSelectorRequirement{label("a", "Exists"), label("a b", "Exists")}},
			want:   fields + " partially ignored due to parse error; " + labels + " partially ignored due to parse error",
		},
		"not read": {
			fields: &authorizationv1.FieldSelectorAttributes{Requirements: []metav1.FieldSelectorRequirement{field("Exists")}},
			labels: &authorizationv1.LabelSelectorAttributes{Requirements: []metav1.LabelSelectorRequirement{label("a", "Like", "b")}},
			want:   fields + " ignored due to parse error; " + labels + " ignored due to parse error",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attrs := attributes(&user.DefaultInfo{Name: "jane"}, &authorizationv1.ResourceAttributes{Verb: "list", FieldSelector: tt.fields, LabelSelector: tt.labels}, nil)
			status := answer(t.Context(), authorizer.UnconditionalAuthorizer(authorizerfactory.NewAlwaysAllowAuthorizer()).Authorize, attrs)
			if status.EvaluationError != tt.want || !status.Allowed {
				t.Errorf("got %q, want %q", status.EvaluationError, tt.want)
			}
		})
	}
}
