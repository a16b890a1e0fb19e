package integration

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestNotYet goes through docs/not-yet.md: every row that says something is refused has a case here, named by the row.
func TestNotYet(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	apply(t, s.Workspace(path), widgetSchema)
	const (
		invalid   = metav1.StatusReasonInvalid
		forbidden = metav1.StatusReasonForbidden
		yet       = "not supported yet"
		exportAt  = "/apis/apis.kcp.io/v1alpha2/apiexports"
		schemaAt  = "/apis/apis.kcp.io/v1alpha1/apiresourceschemas"
		crdAt     = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	)
	export := func(spec string) string {
		return "apiVersion: apis.kcp.io/v1alpha2\nkind: APIExport\nmetadata: {name: asks}\nspec: {" + spec + "}"
	}
	schema := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(widgetSchema) }
	post := func(at, document string) request {
		return request{method: http.MethodPost, path: "/clusters/" + path + at, body: toJSON(t, document)}
	}
	get := func(at string) request { return request{method: http.MethodGet, path: at} }
	refused := func(field string) want { return want{422, invalid, []string{field}, yet} }
	// Admission of schemas answers as kcp does: Forbidden, with the field in the message.
	refusedSchema := func(field, what string) want {
		return want{403, forbidden, nil, field + ": Forbidden: " + what + " " + yet}
	}

	for _, c := range []struct {
		row, name string
		request   request
		want      want
	}{
		{"schemas of the core group", "schema", post(schemaAt, schema("name: v1.widgets.example.com", "name: v1.widgets.core", "group: example.com", `group: ""`)), refusedSchema("spec.group", "schemas of the core group are")},
		{"schemas of the core group", "export", post(exportAt, export(`resources: [{name: widgets, group: "", schema: v1.widgets.core, storage: {crd: {}}}]`)), refused("spec.resources[0].group")},
		{"deep metrics", "in a workspace", get("/clusters/" + path + "/metrics"), want{501, metav1.StatusReasonMethodNotAllowed, nil, ""}},
	} {
		t.Run(c.row+"/"+c.name, func(t *testing.T) {
			c.want.check(t, asAdmin(t, s).send(c.request))
		})
	}
	t.Run("updates are refused too", func(t *testing.T) {
		apply(t, s.Workspace(path), widgetExport)
		a := asAdmin(t, s).send(request{method: http.MethodPatch, path: "/clusters/" + path + exportAt + "/widgets", body: `{"spec":{"resources":[{"name":"widgets","group":"","schema":"v1.widgets.core","storage":{"crd":{}}}]}}`,
			headers: http.Header{"Content-Type": {"application/merge-patch+json"}}})
		refused("spec.resources[0].group").check(t, a)
	})
}

// The document and the test above say the same.
func TestNotYet_IsDocumented(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "not-yet.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{
		"schemas of the core group",
	} {
		if !strings.Contains(string(data), row) {
			t.Errorf("docs/not-yet.md does not name %s", row)
		}
	}
}
