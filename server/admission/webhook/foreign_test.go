package webhook

import (
	"errors"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission/plugin/webhook"
)

func TestForConsumer(t *testing.T) {
	widgets := schema.GroupResource{Group: "example.com", Resource: "widgets"}
	const secret = "internal.example.net"
	denied := apierrors.NewForbidden(widgets, "a", errors.New("not today"))
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"nothing":      {nil, ""},
		"a refusal":    {denied, denied.Error()},
		"no answer":    {apierrors.NewInternalError(errors.New(`failed calling webhook "a.example.com": failed to call webhook: Post "https://` + secret + `/x": EOF`)), `failed calling webhook "a.example.com": the webhook of the provider of widgets.example.com cannot be called`},
		"another text": {apierrors.NewInternalError(errors.New(secret)), "a webhook of the provider of widgets.example.com failed"},
		"half a text":  {apierrors.NewInternalError(errors.New(`failed calling webhook "` + secret)), "a webhook of the provider of widgets.example.com failed"},
	} {
		got := forConsumer(widgets, tc.err)
		if (got == nil) != (tc.want == "") || got != nil && (!strings.Contains(got.Error(), tc.want) || strings.Contains(got.Error(), secret)) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestMayConcern(t *testing.T) {
	a := attributes(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
	for name, tc := range map[string]struct {
		operation         admissionregistrationv1.OperationType
		version, resource string
		want              bool
	}{
		"the request":       {admissionregistrationv1.Create, "v1", "configmaps", true},
		"another version":   {admissionregistrationv1.Create, "v2", "configmaps", true},
		"another operation": {admissionregistrationv1.Delete, "v1", "configmaps", false},
		"another resource":  {admissionregistrationv1.Create, "v1", "secrets", false},
		"a subresource":     {admissionregistrationv1.Create, "v1", "configmaps/status", false},
	} {
		hook := &admissionregistrationv1.ValidatingWebhook{Name: "a.example.com", Rules: []admissionregistrationv1.RuleWithOperations{{
			Operations: []admissionregistrationv1.OperationType{tc.operation},
			Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{tc.version}, Resources: []string{tc.resource}},
		}}}
		if got := mayConcern(hookList{webhook.NewValidatingWebhookAccessor("uid", "c", hook)}, a); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
		if hook.Rules[0].APIVersions[0] != tc.version {
			t.Error("the configuration was changed")
		}
	}
}
