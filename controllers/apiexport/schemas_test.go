package apiexport

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

func TestReconcile_SchemasThatAreMissing(t *testing.T) {
	schemaOf := func(name string) *apisv1alpha1.APIResourceSchema {
		return clienttest.In(cluster, &apisv1alpha1.APIResourceSchema{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	elsewhere := clienttest.In("other", &apisv1alpha1.APIResourceSchema{ObjectMeta: metav1.ObjectMeta{Name: "v1.gadgets.example.com"}})
	fake := clienttest.NewFake(schemaOf("v1.widgets.example.com"), elsewhere,
		newExport(func(e *apisv1alpha2.APIExport) {
			e.Spec.Resources = []apisv1alpha2.ResourceSchema{{Schema: "v1.widgets.example.com"}, {Schema: "v1.gadgets.example.com"}}
		}), newExport(func(e *apisv1alpha2.APIExport) { e.Name = "unrelated" }))
	expect := func(valid bool, reason, message string) {
		t.Helper()
		run(t, fake)
		export := read[apisv1alpha2.APIExport](t, fake, exports, key)
		if got := conditionsv1alpha1.IsTrue(export, apisv1alpha2.APIExportSchemasValid); got != valid {
			t.Errorf("valid = %v, want %v", got, valid)
		}
		if got := conditionsv1alpha1.GetReason(export, apisv1alpha2.APIExportSchemasValid); got != reason {
			t.Errorf("reason = %q, want %q", got, reason)
		}
		if got := conditionsv1alpha1.GetMessage(export, apisv1alpha2.APIExportSchemasValid); !strings.Contains(got, message) || strings.Contains(got, "widgets") {
			t.Errorf("message = %q, want %q", got, message)
		}
	}
	expect(false, apisv1alpha2.SchemaNotFoundReason, "no APIResourceSchema v1.gadgets.example.com in this workspace")

	r := &reconciler{client: fake}
	gadgets := schemaOf("v1.gadgets.example.com")
	if _, err := fake.Create(t.Context(), schemas, cluster, gadgets); err != nil {
		t.Fatal(err)
	}
	for event, want := range map[client.EventType][]client.Key{client.Added: {key}, client.Deleted: {key}, client.Modified: nil} {
		if diff := cmp.Diff(want, clienttest.Keys(t)(r.forSchema(t.Context(), client.Event{Type: event, Object: gadgets}))); diff != "" {
			t.Errorf("%s: %s", event, diff)
		}
	}
	expect(true, "", "")
	if err := fake.Delete(t.Context(), schemas, client.Key{Cluster: cluster, Name: gadgets.Name}, nil); err != nil {
		t.Fatal(err)
	}
	expect(false, apisv1alpha2.SchemaNotFoundReason, "v1.gadgets.example.com")
}
