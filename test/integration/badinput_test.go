package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/annex-dev/annex/test/framework/annex"
)

// want is what an answer must be.
type want struct {
	code   int
	reason metav1.StatusReason
	// fields are the paths of the causes, each of which must be there.
	fields []string
	// text must be in the message.
	text string
}

func (w want) check(tb testing.TB, a answer) {
	tb.Helper()
	status := a.status()
	if a.code != w.code || status.Reason != w.reason || !strings.Contains(status.Message, w.text) {
		tb.Errorf("%d %s %q, want %d %s with %q", a.code, status.Reason, status.Message, w.code, w.reason, w.text)
	}
	if status.Reason == "" && w.reason != "" {
		tb.Errorf("no API status: %.300s", a.body)
	}
	var got []string
	if status.Details != nil {
		for _, cause := range status.Details.Causes {
			got = append(got, cause.Field)
		}
	}
	for _, field := range w.fields {
		if !slices.Contains(got, field) {
			tb.Errorf("the causes name %v, want %s", got, field)
		}
	}
}

func toJSON(tb testing.TB, document string) string {
	tb.Helper()
	data, err := json.Marshal(parse(tb, document))
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

func TestBadInput_Addresses(t *testing.T) {
	s := start(t)
	path, cluster := newWorkspace(t, s, "root", uniqueName("ws"))
	foreign := workspace(t, s)
	admit(t, s, path, alice)
	configMap := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`
	notFound := want{http.StatusNotFound, metav1.StatusReasonNotFound, nil, "could not find the requested resource"}
	notFoundNamespace := want{http.StatusNotFound, metav1.StatusReasonNotFound, nil, "namespaces"}
	forbidden := want{http.StatusForbidden, metav1.StatusReasonForbidden, nil, "access denied"}
	malformed := want{http.StatusBadRequest, metav1.StatusReasonBadRequest, nil, "invalid cluster"}
	admin, master, user := asAdmin(t, s), asMaster(t, s), as(t, s, alice)
	for _, c := range []struct {
		name   string
		sender *wire
		method string
		path   string
		want   want
	}{
		{"an unknown path", user, "GET", "/clusters/root:nobody:here/api/v1/configmaps", forbidden},
		{"an unknown path, as an administrator", admin, "GET", "/clusters/root:nobody:here/api/v1/configmaps", forbidden},
		{"an unknown path, as system:masters", master, "GET", "/clusters/root:nobody:here/api/v1/configmaps", want{403, metav1.StatusReasonForbidden, nil, ""}},
		{"an unknown name", user, "GET", "/clusters/0000000000000000/api/v1/configmaps", forbidden},
		{"a write to an unknown path", user, "POST", "/clusters/root:nobody:here/api/v1/namespaces/default/configmaps", forbidden},
		{"discovery of an unknown path", user, "GET", "/clusters/root:nobody:here/apis/apps", forbidden},
		{"somebody else's workspace", user, "GET", "/clusters/" + foreign + "/api/v1/configmaps", forbidden},
		{"discovery of somebody else's workspace", user, "GET", "/clusters/" + foreign + "/apis/apps", forbidden},
		{"a write to somebody else's workspace", user, "POST", "/clusters/" + foreign + "/api/v1/namespaces/default/configmaps", forbidden},
		{"the parent of one's own workspace", user, "GET", "/clusters/root/api/v1/configmaps", forbidden},
		{"a cluster of the server", admin, "GET", "/clusters/system:admin/api/v1/configmaps", forbidden},
		{"the cluster of bound definitions", admin, "GET", "/clusters/system:bound-crds/apis/apiextensions.k8s.io/v1/customresourcedefinitions", forbidden},
		{"no cluster", user, "GET", "/api/v1/configmaps", forbidden},
		{"no cluster, as system:masters", master, "GET", "/api/v1/configmaps", notFound},
		{"a home workspace", user, "GET", "/clusters/~/api", malformed},
		{"upper case in a path", user, "GET", "/clusters/root:Team/api", malformed},
		{"upper case in a name", user, "GET", "/clusters/" + strings.ToUpper(cluster) + "/api", malformed},
		{"dots for a path", user, "GET", "/clusters/../api", malformed},
		{"escaped dots for a path", user, "GET", "/clusters/%2E%2E/api", malformed},
		{"dots in a path", user, "GET", "/clusters/root:..:team/api", malformed},
		{"dots behind a path", user, "GET", "/clusters/" + path + "/../" + foreign + "/api/v1/configmaps", notFound},
		{"an escaped slash in a path", user, "GET", "/clusters/" + path + "%2Fapi", malformed},
		{"an escaped slash between paths", user, "GET", "/clusters/" + path + "%2F..%2F" + foreign + "/api", malformed},
		{"an escaped slash in a name of an object", user, "GET", "/clusters/" + path + "/api/v1/namespaces/default/configmaps/..%2Fdefault%2Fa", notFound},
		{"dots for a namespace", user, "GET", "/clusters/" + path + "/api/v1/namespaces/../configmaps", want{400, metav1.StatusReasonBadRequest, nil, "invalid name"}},
		{"dots for a name", user, "GET", "/clusters/" + path + "/api/v1/namespaces/default/configmaps/%2E%2E", want{400, metav1.StatusReasonBadRequest, nil, ""}},
		{"dots for a namespace, and create", user, "POST", "/clusters/" + path + "/api/v1/namespaces/../configmaps", notFoundNamespace},
		{"an empty path", user, "GET", "/clusters//api", malformed},
		{"a colon too many", user, "GET", "/clusters/" + path + ":/api", malformed},
		{"a zero byte", user, "GET", "/clusters/" + path + "%00/api", malformed},
		{"a path with a wildcard in it", user, "GET", "/clusters/root:*/api", malformed},
		{"the wildcard", user, "GET", "/clusters/*/api/v1/configmaps", forbidden},
		{"the wildcard, as an administrator", admin, "GET", "/clusters/*/api/v1/configmaps", forbidden},
		{"the wildcard and a write, as a user", user, "POST", "/clusters/*/api/v1/namespaces/default/configmaps", forbidden},
		{"the wildcard and create", master, "POST", "/clusters/*/api/v1/namespaces/default/configmaps", want{405, metav1.StatusReasonMethodNotAllowed, nil, "create"}},
		{"the wildcard and update", master, "PUT", "/clusters/*/api/v1/namespaces/default/configmaps/a", want{405, metav1.StatusReasonMethodNotAllowed, nil, "update"}},
		{"the wildcard and patch", master, "PATCH", "/clusters/*/api/v1/namespaces/default/configmaps/a", want{405, metav1.StatusReasonMethodNotAllowed, nil, "patch"}},
		{"the wildcard and delete", master, "DELETE", "/clusters/*/api/v1/namespaces/default/configmaps/a", want{405, metav1.StatusReasonMethodNotAllowed, nil, "delete"}},
		{"the wildcard and deletecollection", master, "DELETE", "/clusters/*/api/v1/configmaps", want{405, metav1.StatusReasonMethodNotAllowed, nil, "deletecollection"}},
		{"the wildcard and get", master, "GET", "/clusters/*/api/v1/namespaces/default/configmaps/a", want{405, metav1.StatusReasonMethodNotAllowed, nil, "get"}},
		{"the wildcard and a namespace", master, "GET", "/clusters/*/api/v1/namespaces/default/configmaps", want{400, metav1.StatusReasonBadRequest, nil, "namespace"}},
		{"the wildcard and custom resources without an identity", master, "GET", "/clusters/*/apis/example.com/v1/widgets", want{400, metav1.StatusReasonBadRequest, nil, "identity"}},
		{"the wildcard and an identity that nobody has", master, "GET", "/clusters/*/apis/example.com/v1/widgets:0123", want{404, metav1.StatusReasonNotFound, nil, ""}},
		{"nested clusters", user, "GET", "/clusters/" + path + "/clusters/" + path + "/api/v1/configmaps", notFound},
		{"nested clusters, as an administrator", admin, "GET", "/clusters/" + path + "/clusters/" + foreign + "/api/v1/configmaps", notFound},
		{"a service inside a cluster", admin, "GET", "/clusters/" + path + "/services/apiexport/root/tenancy.kcp.io/clusters/*/api", notFound},
		{"an unknown service", admin, "GET", "/services/migratingworkspaces/root:universal/clusters/*/api", notFound},
		{"a service for the path of a type", admin, "GET", "/services/initializingworkspaces/" + path + ":universal/clusters/*/api", malformed},
		{"a service for half a type", admin, "GET", "/services/terminatingworkspaces/universal/clusters/*/api", want{400, metav1.StatusReasonBadRequest, nil, "WorkspaceType"}},
		{"a service for a type in a path", admin, "GET", "/services/initializingworkspaces/root:universal/clusters/" + path + "/api", malformed},
		{"a service for somebody else's type", user, "GET", "/services/initializingworkspaces/root:universal/clusters/*/apis", forbidden},
		{"a service for a path", admin, "GET", "/services/apiexport/" + path + "/widgets/clusters/*/api", malformed},
		{"a service for an unknown export", user, "GET", "/services/apiexport/" + cluster + "/nothing/clusters/*/api", notFound},
		{"a service of somebody else", user, "GET", "/services/apiexport/root/tenancy.kcp.io/clusters/*/apis", forbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request{method: c.method, path: c.path}
			if c.method != http.MethodGet && c.method != http.MethodDelete {
				r.body = configMap
			}
			if c.method == http.MethodPatch {
				r.headers = http.Header{"Content-Type": {"application/merge-patch+json"}}
			}
			c.want.check(t, c.sender.in(t).send(r))
		})
	}
}

// A workspace that one may not enter and one that does not exist differ in nothing but the name the client wrote.
func TestBadInput_UnknownAndForbiddenWorkspacesLookTheSame(t *testing.T) {
	s := start(t)
	secret := workspace(t, s)
	user := as(t, s, stranger)
	for _, rest := range []string{"/api", "/apis", "/api/v1/namespaces/default/secrets/a", "/openapi/v2", "/apis/tenancy.kcp.io/v1alpha1/workspaces", "/nothing"} {
		want := http.StatusForbidden
		switch rest { // they say that nothing is served
		case "/api":
			want = http.StatusNotFound
		case "/apis":
			want = http.StatusOK
		}
		there, missing := user.get("/clusters/"+secret+rest), user.get("/clusters/root:nothing-here"+rest)
		body := strings.ReplaceAll(string(there.body), secret, "root:nothing-here")
		if there.code != want || missing.code != there.code || string(missing.body) != body {
			t.Errorf("%s: %d %s for a workspace, %d %s for none, want %d", rest, there.code, there.body, missing.code, missing.body, want)
		}
	}
	// The same of a child, and of a child of what is no workspace.
	child, _ := newWorkspace(t, s, secret, "child")
	if there, missing := user.get("/clusters/"+child+"/api"), user.get("/clusters/root:nothing:child/api"); there.code != missing.code || string(there.body) != string(missing.body) {
		t.Errorf("a child: %s and %s", there.body, missing.body)
	}
}

func TestBadInput_PagesOfTheProcess(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	admit(t, s, path, alice)
	admin, master, user := asAdmin(t, s), asMaster(t, s), as(t, s, alice)
	for _, page := range []string{
		"/debug/pprof", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile?seconds=1", "/debug/flags", "/debug/flags/v", "/debug/api_priority_and_fairness/dump_queues",
		"/statusz", "/flagz", "/logs", "/logs/", "/configz", "/metrics/slis", "/index.html",
	} {
		for name, sender := range map[string]*wire{"a user": user, "an administrator": admin, "system:masters": master} {
			if a := sender.get("/clusters/" + path + page); a.code != http.StatusNotFound && a.code != http.StatusForbidden {
				t.Errorf("%s inside a workspace as %s: %d %.200s", page, name, a.code, a.body)
			}
		}
	}
	for name, sender := range map[string]*wire{"a user": user, "an administrator": admin, "system:masters": master} {
		if a := sender.get("/clusters/" + path + "/metrics"); a.code != http.StatusNotImplemented {
			t.Errorf("/metrics inside a workspace as %s: %d %.200s, want 501", name, a.code, a.body)
		}
	}
	if a := user.send(request{method: http.MethodPut, path: "/clusters/" + path + "/debug/flags/v", body: "9"}); a.code != http.StatusNotFound && a.code != http.StatusForbidden {
		t.Errorf("changing the log level: %d %s", a.code, a.body)
	}
	for _, page := range []string{"/metrics", "/debug/pprof/", "/debug/flags/v", "/statusz"} {
		if a := user.get(page); a.code != http.StatusForbidden {
			t.Errorf("%s of the process as a user: %d %.200s", page, a.code, a.body)
		}
	}
	if a := master.get("/metrics"); a.code != http.StatusOK || !strings.Contains(string(a.body), "apiserver_request_total") {
		t.Errorf("/metrics as system:masters: %d %.200s", a.code, a.body)
	}
	for _, page := range []string{"/healthz", "/livez", "/readyz"} {
		if a := as(t, s, "").get("/clusters/root:nobody" + page); a.code != http.StatusOK {
			t.Errorf("%s without credentials: %d", page, a.code)
		}
	}
}

func TestBadInput_ContinueTokenOfAnotherWorkspace(t *testing.T) {
	s := start(t)
	w := build(t, s)
	admin := asAdmin(t, s)
	for _, resource := range []string{"/api/v1/configmaps", "/api/v1/namespaces/default/configmaps", "/apis/example.org/v1/gadgets"} {
		first := admin.get("/clusters/" + w.rooms[3].path + resource + "?limit=1")
		var list metav1.List
		if err := json.Unmarshal(first.body, &list); err != nil || list.Continue == "" {
			t.Fatalf("the first page of %s: %v %s", resource, err, first.body)
		}
		a := as(t, s, alice).get("/clusters/" + w.own.path + resource + "?limit=1&continue=" + url.QueryEscape(list.Continue))
		if leaked, is := w.leak(alice, a.body); is {
			t.Errorf("%s goes on in %s: %s", resource, leaked.path, a.body)
		}
		if a.code != http.StatusOK && a.code != http.StatusBadRequest && a.code != http.StatusGone {
			t.Errorf("%s: %d %s", resource, a.code, a.body)
		}
	}
	for _, forged := range []string{"nonsense", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi9vdGhlci9kZWZhdWx0L2EifQ"} {
		a := as(t, s, alice).get("/clusters/" + w.own.path + "/api/v1/configmaps?limit=1&continue=" + forged)
		want{http.StatusBadRequest, metav1.StatusReasonBadRequest, nil, "continue key is not valid"}.check(t, a)
	}
}

func TestBadInput_ForgedClusterAnnotation(t *testing.T) {
	s := start(t)
	path, cluster := newWorkspace(t, s, "root", uniqueName("ws"))
	_, foreign := newWorkspace(t, s, "root", uniqueName("ws"))
	admit(t, s, path, alice)
	user := as(t, s, alice)
	apply(t, s.Workspace(path), gadgetCRD)
	gadgetsAt := "/clusters/" + path + "/apis/example.org/v1/namespaces/default/gadgets"
	eventually(t, "gadgets are served", func(context.Context) (bool, error) { return user.get(gadgetsAt).code == http.StatusOK, nil })
	for at, kind := range map[string]string{
		"/clusters/" + path + "/api/v1/namespaces/default/configmaps": `"apiVersion":"v1","kind":"ConfigMap"`,
		gadgetsAt: `"apiVersion":"example.org/v1","kind":"Gadget"`,
	} {
		object := fmt.Sprintf(`{%s,"metadata":{"name":"forged","annotations":{"kcp.io/cluster":%q}}}`, kind, foreign)
		patch := fmt.Sprintf(`{"metadata":{"annotations":{"kcp.io/cluster":%q}}}`, foreign)
		for _, r := range []request{
			{method: http.MethodPost, path: at, body: object},
			{method: http.MethodPut, path: at + "/forged", body: object},
			{method: http.MethodPatch, path: at + "/forged", body: patch, headers: http.Header{"Content-Type": {"application/merge-patch+json"}}},
			{method: http.MethodPatch, path: at + "/forged?fieldManager=x&force=true", body: object, headers: http.Header{"Content-Type": {"application/apply-patch+yaml"}}},
			{method: http.MethodPatch, path: at + "/forged", body: `{"metadata":{"annotations":{"kcp.io/cluster":null}}}`, headers: http.Header{"Content-Type": {"application/merge-patch+json"}}},
			{method: http.MethodGet, path: at + "/forged"},
		} {
			if r.method == http.MethodPut && strings.Contains(at, "gadgets") {
				var current unstructured.Unstructured
				if err := json.Unmarshal(user.get(at+"/forged").body, &current); err != nil {
					t.Fatal(err)
				}
				current.SetAnnotations(map[string]string{"kcp.io/cluster": foreign})
				data, err := json.Marshal(&current)
				if err != nil {
					t.Fatal(err)
				}
				r.body = string(data)
			}
			a := user.send(r)
			var got unstructured.Unstructured
			if err := json.Unmarshal(a.body, &got); err != nil || a.code >= 300 {
				t.Fatalf("%s %s: %d %s", r.method, r.path, a.code, a.body)
			}
			if got.GetAnnotations()["kcp.io/cluster"] != cluster {
				t.Errorf("%s %s: the annotation is %q, want %q", r.method, r.path, got.GetAnnotations()["kcp.io/cluster"], cluster)
			}
		}
	}
}

func TestBadInput_TooLarge(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	admin := asAdmin(t, s)
	apply(t, s.Workspace(path), gadgetCRD)
	gadgetsAt := "/clusters/" + path + "/apis/example.org/v1/namespaces/default/gadgets"
	eventually(t, "gadgets are served", func(context.Context) (bool, error) { return admin.get(gadgetsAt).code == http.StatusOK, nil })
	configMaps := "/clusters/" + path + "/api/v1/namespaces/default/configmaps"
	tooLarge := want{code: http.StatusRequestEntityTooLarge, reason: metav1.StatusReasonRequestEntityTooLarge}
	for name, c := range map[string]struct {
		path, body string
		want       want
	}{
		"a request of 4 MiB":               {configMaps, configMapOf("large", 4<<20), tooLarge},
		"a ConfigMap over 1 MiB":           {configMaps, configMapOf("large", 1<<20+1), want{422, metav1.StatusReasonInvalid, nil, "Too long"}},
		"a custom resource of 1.6 MiB":     {gadgetsAt, `{"apiVersion":"example.org/v1","kind":"Gadget","metadata":{"name":"large"},"spec":{"text":"` + strings.Repeat("x", 1600<<10) + `"}}`, tooLarge},
		"annotations of more than 256 KiB": {configMaps, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"large","annotations":{"a":"` + strings.Repeat("x", 256<<10) + `"}}}`, want{422, metav1.StatusReasonInvalid, []string{"metadata.annotations"}, "Too long"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.check(t, admin.in(t).send(request{method: http.MethodPost, path: c.path, body: c.body}))
			if a := admin.in(t).get(c.path + "/large"); a.code != http.StatusNotFound {
				t.Errorf("it was stored: %d", a.code)
			}
		})
	}
}

func configMapOf(name string, size int) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q},"data":{"a":"%s"}}`, name, strings.Repeat("x", size))
}

const gadgetCRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {plural: gadgets, singular: gadget, kind: Gadget, listKind: GadgetList, shortNames: [gd], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.wheels, statusReplicasPath: .status.wheels}}
    selectableFields: [{jsonPath: .spec.text}]
    additionalPrinterColumns: [{name: Wheels, type: integer, jsonPath: .spec.wheels}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              wheels: {type: integer, maximum: 8, default: 4, description: How many wheels there are.}
              text: {type: string}
              parts: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name], items: {type: object, required: [name], properties: {name: {type: string}, size: {type: integer}}}}
            x-kubernetes-validations: [{rule: "!has(self.text) || self.text != 'forbidden'", message: this text is forbidden}]
          status: {type: object, properties: {wheels: {type: integer}}}
`

const widgetSchema = `
apiVersion: apis.kcp.io/v1alpha1
kind: APIResourceSchema
metadata: {name: v1.widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}, status: {type: object, properties: {ready: {type: boolean}}}}}
`

const widgetExport = `
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: widgets}
spec: {resources: [{name: widgets, group: example.com, schema: v1.widgets.example.com, storage: {crd: {}}}]}
`

func binding(name, path, export string) string {
	return fmt.Sprintf("apiVersion: apis.kcp.io/v1alpha2\nkind: APIBinding\nmetadata: {name: %s}\nspec: {reference: {export: {path: %q, name: %s}}}\n", name, path, export)
}

func TestBadInput_Schemas(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	admin := asAdmin(t, s)
	schemaPath, crdPath := "/apis/apis.kcp.io/v1alpha1/apiresourceschemas", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	replace := func(document string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(document) }
	for name, c := range map[string]struct {
		path, document string
		want           want
	}{
		// As in kcp, admission refuses schemas: Forbidden, with the field in the message.
		"a schema that is not structural": {schemaPath, replace(widgetSchema, "size: {type: integer}", "size: {}"), want{403, metav1.StatusReasonForbidden, nil,
			"spec.versions[0].schema.properties[spec].properties[size].type: Required value"}},
		"a schema without a type":          {schemaPath, replace(widgetSchema, "schema: {type: object,", "schema: {"), want{403, metav1.StatusReasonForbidden, nil, "spec.versions[0].schema.type: Required value"}},
		"a name without its resource":      {schemaPath, replace(widgetSchema, "name: v1.widgets.example.com", "name: v1.gadgets.example.com"), want{403, metav1.StatusReasonForbidden, nil, "metadata.name: Invalid value"}},
		"a CEL rule that does not compile": {schemaPath, replace(widgetSchema, "size: {type: integer}", "size: {type: integer, x-kubernetes-validations: [{rule: self.nothing}]}"), want{403, metav1.StatusReasonForbidden, nil, "x-kubernetes-validations[0].rule: Invalid value"}},
		"a reserved group":                 {schemaPath, replace(widgetSchema, "example.com", "apis.kcp.io"), want{403, metav1.StatusReasonForbidden, nil, "reserved"}},
		"a CRD of a reserved group":        {crdPath, replace(gadgetCRD, "example.org", "tenancy.kcp.io"), want{403, metav1.StatusReasonForbidden, nil, "reserved"}},
		"a CRD that is not structural": {crdPath, replace(gadgetCRD, "text: {type: string}", "text: {}"), want{422, metav1.StatusReasonInvalid,
			[]string{"spec.validation.openAPIV3Schema.properties[spec].properties[text].type"}, ""}},
		"a CRD of no schema at all, with selectable fields": {crdPath, replace(gadgetCRD, "openAPIV3Schema", "nothing"), want{422, metav1.StatusReasonInvalid, []string{"spec.selectableFields"}, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.check(t, admin.in(t).send(request{method: http.MethodPost, path: "/clusters/" + path + c.path, body: toJSON(t, c.document)}))
		})
	}
	apply(t, s.Workspace(path), widgetSchema)
	a := admin.send(request{method: http.MethodPatch, path: "/clusters/" + path + schemaPath + "/v1.widgets.example.com", body: `{"spec":{"scope":"Cluster"}}`,
		headers: http.Header{"Content-Type": {"application/merge-patch+json"}}})
	want{403, metav1.StatusReasonForbidden, nil, "spec: Forbidden: an APIResourceSchema cannot be changed"}.check(t, a)
}

func TestBadInput_ExportOfMissingSchema(t *testing.T) {
	s := start(t)
	producer, consumer := workspace(t, s), workspace(t, s)
	apply(t, s.Workspace(producer), widgetExport)
	apply(t, s.Workspace(consumer), binding("widgets", producer, "widgets"))
	_, client := annex.Clients(t, s.Workspace(consumer))
	waitCondition(t, client.Resource(bindings), "widgets", "BindingUpToDate", "False", "APIResourceSchemaInvalid")
	if code := asAdmin(t, s).get("/clusters/" + consumer + "/apis/example.com/v1/widgets").code; code != http.StatusNotFound {
		t.Errorf("widgets are served: %d", code)
	}
	// It heals as soon as the schema is there.
	apply(t, s.Workspace(producer), widgetSchema)
	waitCondition(t, client.Resource(bindings), "widgets", "Ready", "True", "")

	bad := strings.ReplaceAll(widgetExport, "schema: v1.widgets.example.com", "schema: v1.gadgets.example.com")
	a := asAdmin(t, s).send(request{method: http.MethodPost, path: "/clusters/" + producer + "/apis/apis.kcp.io/v1alpha2/apiexports", body: toJSON(t, bad)})
	want{403, metav1.StatusReasonForbidden, nil, "must end in .widgets.example.com"}.check(t, a)
}

func TestBadInput_MissingAndForbiddenExportsLookTheSame(t *testing.T) {
	s := start(t)
	producer, consumer := workspace(t, s), workspace(t, s)
	apply(t, s.Workspace(producer), widgetSchema)
	apply(t, s.Workspace(producer), widgetExport)
	admit(t, s, consumer, alice)
	user := as(t, s, alice)
	try := func(path, export string) string {
		a := user.send(request{method: http.MethodPost, path: "/clusters/" + consumer + "/apis/apis.kcp.io/v1alpha2/apibindings", body: toJSON(t, binding("widgets", path, export))})
		want{http.StatusForbidden, metav1.StatusReasonForbidden, nil, "no permission to bind to export " + path + ":" + export}.check(t, a)
		return strings.NewReplacer(path, "PATH", ":"+export, ":EXPORT").Replace(string(a.body))
	}
	forbidden := try(producer, "widgets")
	for _, missing := range [][2]string{{producer, "nothing"}, {"root:nobody", "widgets"}, {consumer + ":nobody", "nothing"}} {
		if got := try(missing[0], missing[1]); got != forbidden {
			t.Errorf("%v: %s, a forbidden one: %s", missing, got, forbidden)
		}
	}
	a := user.send(request{method: http.MethodPost, path: "/clusters/" + consumer + "/apis/apis.kcp.io/v1alpha2/apibindings", body: toJSON(t, binding("widgets", "root:NOBODY", "widgets"))})
	want{422, metav1.StatusReasonInvalid, []string{"spec.reference.export.path"}, ""}.check(t, a)
	a = user.send(request{method: http.MethodPost, path: "/clusters/" + consumer + "/apis/apis.kcp.io/v1alpha2/apibindings", body: `{"apiVersion":"apis.kcp.io/v1alpha2","kind":"APIBinding","metadata":{"name":"a"},"spec":{}}`})
	want{422, metav1.StatusReasonInvalid, []string{"spec.reference.export"}, "Required value"}.check(t, a)

	// With the permission it goes through.
	apply(t, s.Workspace(producer), `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: bind}
rules: [{apiGroups: [apis.kcp.io], resources: [apiexports], resourceNames: [widgets], verbs: [bind]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: bind}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: bind}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: alice}]`)
	eventually(t, "alice may bind", func(context.Context) (bool, error) {
		return user.send(request{method: http.MethodPost, path: "/clusters/" + consumer + "/apis/apis.kcp.io/v1alpha2/apibindings", body: toJSON(t, binding("widgets", producer, "widgets"))}).code == http.StatusCreated, nil
	})
	_, client := annex.Clients(t, s.As(token(alice), consumer))
	waitCondition(t, client.Resource(bindings), "widgets", "Ready", "True", "")
}

func TestBadInput_TwoBindingsOfOneResource(t *testing.T) {
	s := start(t)
	first, second, consumer := workspace(t, s), workspace(t, s), workspace(t, s)
	for _, path := range []string{first, second} {
		apply(t, s.Workspace(path), widgetSchema)
		apply(t, s.Workspace(path), widgetExport)
	}
	_, client := annex.Clients(t, s.Workspace(consumer))
	apply(t, s.Workspace(consumer), binding("first", first, "widgets"))
	waitCondition(t, client.Resource(bindings), "first", "Ready", "True", "")
	apply(t, s.Workspace(consumer), binding("second", second, "widgets"))
	waitCondition(t, client.Resource(bindings), "second", "InitialBindingCompleted", "False", "NamingConflicts")
	// The same export twice is a conflict as well.
	apply(t, s.Workspace(consumer), binding("third", first, "widgets"))
	waitCondition(t, client.Resource(bindings), "third", "InitialBindingCompleted", "False", "NamingConflicts")
	widget := parse(t, "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a, namespace: default}\nspec: {size: 1}")
	if _, err := client.Resource(widgets).Namespace("default").Create(t.Context(), widget, metav1.CreateOptions{}); err != nil {
		t.Errorf("creating what the first binding serves: %v", err)
	}
	// And so is a CRD of a name that is bound.
	apply(t, s.Workspace(consumer), strings.NewReplacer("example.org", "example.com", "gadget", "widget", "Gadget", "Widget").Replace(gadgetCRD))
	waitCondition(t, client.Resource(crds), "widgets.example.com", "NamesAccepted", "False", "")

	// When the first goes, with its objects, the next one takes over.
	for _, name := range []string{"third", "first"} {
		if err := client.Resource(bindings).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Resource(crds).Delete(t.Context(), "widgets.example.com", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	waitCondition(t, client.Resource(bindings), "second", "Ready", "True", "")
	list, err := client.Resource(widgets).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 0 {
		t.Errorf("the second binding shows %v, %v", list, err)
	}
}

// The URL of a workspace tells its path, so a dry run must not tell the path of a cluster that the client only names.
func TestBadInput_ForgedClusterOfAWorkspace(t *testing.T) {
	s := start(t)
	parent, _ := newWorkspace(t, s, "root", uniqueName("ws"))
	foreignPath, foreign := newWorkspace(t, s, "root", uniqueName("ws"))
	path, _ := newWorkspace(t, s, parent, uniqueName("ws"))
	name := strings.TrimPrefix(path, parent+":")
	at := "/clusters/" + parent + "/apis/tenancy.kcp.io/v1alpha1/workspaces/" + name
	patch := fmt.Sprintf(`{"metadata":{"annotations":{"kcp.io/cluster":%q}}}`, foreign)
	for _, dryRun := range []string{"?dryRun=All", ""} {
		a := asAdmin(t, s).send(request{method: http.MethodPatch, path: at + dryRun, body: patch, headers: http.Header{"Content-Type": {"application/merge-patch+json"}}})
		if a.code != http.StatusOK || strings.Contains(string(a.body), foreignPath) || !strings.Contains(string(a.body), "/clusters/"+path+`"`) {
			t.Errorf("patch%s: %d %s", dryRun, a.code, a.body)
		}
	}
}
