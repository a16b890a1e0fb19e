package apibinding

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

func TestOffersAnew(t *testing.T) {
	export := clienttest.In("provider", &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "things", UID: "1"}})
	at := client.KeyOf(export)
	c := &Controller{}
	event := func(kind client.EventType, change func(*apisv1alpha2.APIExport)) bool {
		export = export.DeepCopy()
		change(export)
		return c.offersAnew(at, client.Event{Type: kind, Object: export})
	}
	nothing := func(*apisv1alpha2.APIExport) {}
	for _, step := range []struct {
		name   string
		kind   client.EventType
		change func(*apisv1alpha2.APIExport)
		want   bool
	}{
		{"a new one", client.Added, nothing, true},
		{"its consumers", client.Modified, func(e *apisv1alpha2.APIExport) { e.Status.Consumers = &apisv1alpha2.APIExportConsumers{Bound: 7} }, false},
		{"a condition", client.Modified, func(e *apisv1alpha2.APIExport) { conditionsv1alpha1.MarkTrue(e, apisv1alpha2.APIExportSchemasValid) }, false},
		{"its identity", client.Modified, func(e *apisv1alpha2.APIExport) { e.Status.IdentityHash = "abc" }, true},
		{"a resource", client.Modified, func(e *apisv1alpha2.APIExport) { e.Spec.Resources = []apisv1alpha2.ResourceSchema{{Name: "x"}} }, true},
		{"a claim", client.Modified, func(e *apisv1alpha2.APIExport) {
			e.Spec.PermissionClaims = []apisv1alpha2.PermissionClaim{{Verbs: []string{"get"}}}
		}, true},
		{"an annotation that bindings get", client.Modified, func(e *apisv1alpha2.APIExport) { e.Annotations[apisv1alpha2.ExtraAnnotationPrefix+"a"] = "b" }, true},
		{"another annotation", client.Modified, func(e *apisv1alpha2.APIExport) { e.Annotations["a"] = "b" }, false},
		{"shown again", client.Added, nothing, true},
		{"deleted", client.Deleted, nothing, true},
	} {
		if got := event(step.kind, step.change); got != step.want {
			t.Errorf("%s concerns bindings: %t, want %t", step.name, got, step.want)
		}
	}
	if len(c.exportsSeen.seen) != 0 {
		t.Error("something is kept of an export that is gone")
	}
	event(client.Added, nothing)
	c.exportsSeen.forget()
	if !event(client.Modified, nothing) {
		t.Error("an export that is not known concerns nobody")
	}
}
