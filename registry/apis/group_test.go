package apis

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/emicklei/go-restful/v3"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/endpoints"
	"k8s.io/apiserver/pkg/endpoints/filters"
	endpointsopenapi "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"
	"k8s.io/kube-openapi/pkg/builder3"
	"k8s.io/kube-openapi/pkg/util"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/generated/openapi"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage"
)

// patience is how long tests wait for what must happen; nothing waits that long when it works.
const patience = 2 * time.Minute

// api serves the group over HTTP, without authentication and admission.
type api struct {
	t        *testing.T
	group    *group.Group
	handler  http.Handler
	external string
}

func newAPI(t *testing.T) *api {
	t.Helper()
	client := testserver.RunEtcd(t, nil)
	t.Cleanup(func() { _ = client.Close() })
	s := kinds.All.NewScheme()
	backend, err := storage.NewBackend(storage.Config{Orphans: true, Client: client, Codec: s.StorageCodec, CompactionInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Destroy)
	a := &api{t: t, external: "https://annex.test:6443"}
	if a.group, err = NewGroup(s, backend.RESTOptionsGetter(), func() string { return a.external }); err != nil {
		t.Fatal(err)
	}
	if err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		return backend.Ready() == nil, nil
	}); err != nil {
		t.Fatal(backend.Ready())
	}
	container, models := restful.NewContainer(), typeConverter(t, s)
	for version, resources := range a.group.Versions {
		served := &endpoints.APIGroupVersion{
			Root: genericapiserver.APIGroupPrefix, Storage: resources,
			GroupVersion:   apisv1alpha2.SchemeGroupVersion,
			ParameterCodec: s.ParameterCodec, Serializer: s.Codecs,
			Creater: s.Scheme, Convertor: s.Scheme, ConvertabilityChecker: s.Scheme, UnsafeConvertor: runtime.UnsafeObjectConvertor(s.Scheme),
			Defaulter: s.Scheme, Typer: s.Scheme, Namer: runtime.Namer(meta.NewAccessor()),
			EquivalentResourceRegistry: runtime.NewEquivalentResourceRegistry(),
			MinRequestTimeout:          time.Minute,
			TypeConverter:              models,
			Authorizer:                 authorizerfactory.NewAlwaysAllowAuthorizer(),
		}
		served.GroupVersion.Version = version
		if _, _, err := served.InstallREST(container); err != nil {
			t.Fatal(err)
		}
	}
	resolver := &genericapirequest.RequestInfoFactory{APIPrefixes: sets.NewString("apis"), GrouplessAPIPrefixes: sets.NewString()}
	a.handler = filters.WithAuditInit(filters.WithRequestInfo(container, resolver))
	return a
}

// typeConverter knows the models of the group, for server-side apply.
func typeConverter(t *testing.T, s *kinds.Scheme) managedfields.TypeConverter {
	t.Helper()
	config := genericapiserver.DefaultOpenAPIV3Config(openapi.GetOpenAPIDefinitions, endpointsopenapi.NewDefinitionNamer(s.Scheme))
	var names []string
	for _, obj := range []runtime.Object{
		&apisv1alpha1.APIResourceSchema{}, &apisv1alpha1.APIExport{}, &apisv1alpha1.APIBinding{}, &apisv1alpha1.APIExportEndpointSlice{},
		&apisv1alpha2.APIExport{}, &apisv1alpha2.APIBinding{},
	} {
		names = append(names, util.GetCanonicalTypeName(obj))
	}
	models, err := builder3.BuildOpenAPIDefinitionsForResources(config, names...)
	if err != nil {
		t.Fatal(err)
	}
	converter, err := managedfields.NewTypeConverter(models, false)
	if err != nil {
		t.Fatal(err)
	}
	return converter
}

// do sends a request as for one cluster and returns status and object. The body may be a string.
func (a *api) do(method, cluster, path string, body any, change ...func(*http.Request)) (int, *unstructured.Unstructured) {
	a.t.Helper()
	var content []byte
	switch b := body.(type) {
	case nil:
	case string:
		content = []byte(b)
	default:
		var err error
		if content, err = json.Marshal(b); err != nil {
			a.t.Fatal(err)
		}
	}
	req := httptest.NewRequest(method, "/apis/apis.kcp.io/"+path, bytes.NewReader(content))
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	ctx := logicalcluster.WithCluster(genericapirequest.WithUser(a.t.Context(), &user.DefaultInfo{Name: "alice"}), logicalcluster.Name(cluster))
	req = req.WithContext(ctx)
	for _, c := range change {
		c(req)
	}
	recorder := httptest.NewRecorder()
	a.handler.ServeHTTP(recorder, req)
	obj := &unstructured.Unstructured{}
	if err := utiljson.Unmarshal(recorder.Body.Bytes(), &obj.Object); err != nil {
		a.t.Fatalf("%s %s: %d %s", method, path, recorder.Code, recorder.Body)
	}
	return recorder.Code, obj
}

// must is do for requests that succeed.
func (a *api) must(method, cluster, path string, body any, change ...func(*http.Request)) *unstructured.Unstructured {
	a.t.Helper()
	code, obj := a.do(method, cluster, path, body, change...)
	if code >= 300 {
		a.t.Fatalf("%s %s: %d %v", method, path, code, obj.Object["message"])
	}
	return obj
}

func asTable(req *http.Request) {
	req.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
}

const schemaYAML = `{"apiVersion":"apis.kcp.io/v1alpha1","kind":"APIResourceSchema","metadata":{"name":"NAME"},"spec":{
	"group":"example.com","names":{"plural":"widgets","singular":"widget","kind":"Widget","listKind":"WidgetList"},"scope":"Namespaced",
	"versions":[{"name":"v1","served":true,"storage":true,"schema":{"type":"object","properties":{"spec":{"type":"object"}}}}]}}`

func aSchema(name string) string { return strings.Replace(schemaYAML, "NAME", name, 1) }

func anExport(version, name string) map[string]any {
	spec := map[string]any{"resources": []any{map[string]any{"name": "widgets", "group": "example.com", "schema": "v1.widgets.example.com"}}}
	if version == v1alpha1 {
		spec = map[string]any{"latestResourceSchemas": []any{"v1.widgets.example.com"}}
	}
	return map[string]any{"apiVersion": "apis.kcp.io/" + version, "kind": "APIExport", "metadata": map[string]any{"name": name}, "spec": spec}
}

func aBinding(version, name, export, label string) map[string]any {
	return map[string]any{
		"apiVersion": "apis.kcp.io/" + version, "kind": "APIBinding",
		"metadata": map[string]any{"name": name, "labels": map[string]any{apisv1alpha2.InternalAPIBindingExportLabelKey: label}},
		"spec":     map[string]any{"reference": map[string]any{"export": map[string]any{"path": "root:org", "name": export}}},
	}
}

func TestGroup_ServesBothVersions(t *testing.T) {
	a := newAPI(t)
	older := a.must(http.MethodPost, "c1", "v1alpha1/apiexports", anExport(v1alpha1, "older"))
	if older.GetAPIVersion() != "apis.kcp.io/v1alpha1" || older.GetKind() != "APIExport" {
		t.Errorf("created as %s %s", older.GetAPIVersion(), older.GetKind())
	}
	newer := a.must(http.MethodGet, "c1", "v1alpha2/apiexports/older", nil)
	resources, _, err := unstructured.NestedSlice(newer.Object, "spec", "resources")
	if err != nil || len(resources) != 1 || resources[0].(map[string]any)["name"] != "widgets" {
		t.Errorf("in v1alpha2: %v, %v", newer.Object["spec"], err)
	}
	a.must(http.MethodPost, "c1", "v1alpha2/apiexports", anExport(v1alpha2, "newer"))
	back := a.must(http.MethodGet, "c1", "v1alpha1/apiexports/newer", nil)
	if names, _, err := unstructured.NestedStringSlice(back.Object, "spec", "latestResourceSchemas"); err != nil || len(names) != 1 {
		t.Errorf("in v1alpha1: %v, %v", back.Object["spec"], err)
	}
	a.must(http.MethodPost, "c1", "v1alpha1/apibindings", aBinding(v1alpha1, "b", "older", "x"))
	bound := a.must(http.MethodGet, "c1", "v1alpha2/apibindings/b", nil)
	if name, _, _ := unstructured.NestedString(bound.Object, "spec", "reference", "export", "name"); name != "older" {
		t.Errorf("binding in v1alpha2: %v", bound.Object["spec"])
	}
	for _, version := range []string{v1alpha1, v1alpha2} {
		list := a.must(http.MethodGet, "c1", version+"/apiexports", nil)
		if list.GetAPIVersion() != "apis.kcp.io/"+version || list.GetKind() != "APIExportList" {
			t.Errorf("list in %s: %s %s", version, list.GetAPIVersion(), list.GetKind())
		}
		if list := a.must(http.MethodGet, "c2", version+"/apiexports", nil); len(list.Object["items"].([]any)) > 0 {
			t.Errorf("another cluster sees %v", list.Object["items"])
		}
	}
}

func TestGroup_UsersDoNotWriteStatus(t *testing.T) {
	a := newAPI(t)
	export := anExport(v1alpha2, "things")
	export["status"] = map[string]any{"identityHash": "forged"}
	created := a.must(http.MethodPost, "c1", "v1alpha2/apiexports", export)
	if hash, _, _ := unstructured.NestedString(created.Object, "status", "identityHash"); hash != "" || created.GetGeneration() != 1 {
		t.Errorf("created with hash %q, generation %d: %v", hash, created.GetGeneration(), created.Object)
	}
	patched := a.must(http.MethodPatch, "c1", "v1alpha1/apiexports/things", `{"status":{"identityHash":"forged"},"metadata":{"labels":{"a":"b"}}}`)
	if hash, _, _ := unstructured.NestedString(patched.Object, "status", "identityHash"); hash != "" || patched.GetLabels()["a"] != "b" {
		t.Errorf("patched to hash %q, labels %v", hash, patched.GetLabels())
	}
	// The subresource writes nothing else, in either version.
	for _, version := range []string{v1alpha1, v1alpha2} {
		patched = a.must(http.MethodPatch, "c1", version+"/apiexports/things/status", `{"status":{"identityHash":"abc"},"metadata":{"labels":{"a":"c"}}}`)
		if hash, _, _ := unstructured.NestedString(patched.Object, "status", "identityHash"); hash != "abc" || patched.GetLabels()["a"] != "b" {
			t.Errorf("%s: status patched to hash %q, labels %v", version, hash, patched.GetLabels())
		}
	}
	if code, obj := a.do(http.MethodPatch, "c1", "v1alpha2/apiexports/things/status", `{"status":{"identityHash":"other"}}`); code != http.StatusUnprocessableEntity {
		t.Errorf("changing the identity: %d %v", code, obj.Object["message"])
	}
}

func TestGroup_SchemasAreForbiddenNotInvalid(t *testing.T) {
	a := newAPI(t)
	for name, body := range map[string]string{
		"a wrong name":        aSchema("widgets"),
		"a schema of no type": strings.Replace(aSchema("v1.widgets.example.com"), `"type":"object","properties"`, `"properties"`, 1),
		"no version":          strings.Replace(aSchema("v1.widgets.example.com"), `"storage":true`, `"storage":false`, 1),
		"unknown names":       strings.Replace(aSchema("v1.widgets.example.com"), `"scope"`, `"nameValidation":"Any","scope"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			code, status := a.do(http.MethodPost, "c1", "v1alpha1/apiresourceschemas", body)
			if code != http.StatusForbidden || status.Object["reason"] != string(metav1.StatusReasonForbidden) {
				t.Errorf("%d %v", code, status.Object["message"])
			}
		})
	}
	a.must(http.MethodPost, "c1", "v1alpha1/apiresourceschemas", aSchema("v1.widgets.example.com"))
	code, status := a.do(http.MethodPatch, "c1", "v1alpha1/apiresourceschemas/v1.widgets.example.com", `{"spec":{"scope":"Cluster"}}`)
	if code != http.StatusForbidden {
		t.Errorf("changing the spec: %d %v", code, status.Object["message"])
	}
	a.must(http.MethodPatch, "c1", "v1alpha1/apiresourceschemas/v1.widgets.example.com", `{"metadata":{"labels":{"a":"b"}}}`)
}

func TestGroup_SystemStoreRefusesBadSchemas(t *testing.T) {
	a := newAPI(t)
	bad := &apisv1alpha1.APIResourceSchema{ObjectMeta: metav1.ObjectMeta{Name: "widgets"}}
	ctx := logicalcluster.WithCluster(genericapirequest.WithNamespace(t.Context(), ""), "c1")
	if _, err := a.group.System["apiresourceschemas"].Create(ctx, bad, nil, &metav1.CreateOptions{}); err == nil {
		t.Error("the server stored a bad schema")
	}
}

func TestGroup_ReferencesDoNotChange(t *testing.T) {
	a := newAPI(t)
	a.must(http.MethodPost, "c1", "v1alpha2/apibindings", aBinding(v1alpha2, "b", "things", "x"))
	for _, version := range []string{v1alpha1, v1alpha2} {
		code, status := a.do(http.MethodPatch, "c1", version+"/apibindings/b", `{"spec":{"reference":{"export":{"name":"other"}}}}`)
		if code != http.StatusUnprocessableEntity || !strings.Contains(status.Object["message"].(string), "APIExport reference must not be changed") {
			t.Errorf("%s: %d %v", version, code, status.Object["message"])
		}
	}
}

func TestGroup_Tables(t *testing.T) {
	a := newAPI(t)
	a.must(http.MethodPost, "c1", "v1alpha2/apibindings", aBinding(v1alpha2, "b", "things", "x"))
	a.must(http.MethodPost, "c1", "v1alpha2/apiexports", anExport(v1alpha2, "things"))
	a.must(http.MethodPost, "c1", "v1alpha1/apiresourceschemas", aSchema("v1.widgets.example.com"))
	a.must(http.MethodPost, "c1", "v1alpha1/apiexportendpointslices", aSlice("things"))
	for path, want := range map[string]string{
		"v1alpha1/apiexports":              "Name Ready Age",
		"v1alpha2/apiexports":              "Name Age Identity Schemas Consumers Behind Pending Identity Hash",
		"v1alpha1/apibindings":             "Name Age Ready Export Path Up To Date Claims Reason",
		"v1alpha2/apibindings":             "Name Age Ready Export Path Up To Date Claims Reason",
		"v1alpha1/apiexportendpointslices": "Name Export Partition Age Valid URL",
		"v1alpha1/apiresourceschemas":      "Name Age",
	} {
		table := a.must(http.MethodGet, "c1", path, nil, asTable)
		columns, _, err := unstructured.NestedSlice(table.Object, "columnDefinitions")
		var names []string
		for _, column := range columns {
			names = append(names, column.(map[string]any)["name"].(string))
		}
		if got := strings.Join(names, " "); got != want || err != nil {
			t.Errorf("%s: %s, %v", path, got, err)
		}
	}
}

func aSlice(export string) map[string]any {
	return map[string]any{
		"apiVersion": "apis.kcp.io/v1alpha1", "kind": "APIExportEndpointSlice", "metadata": map[string]any{"name": "slice"},
		"spec": map[string]any{"export": map[string]any{"path": "root:org", "name": export}},
	}
}

func TestGroup_EndpointsCarryTheAddressOfNow(t *testing.T) {
	a := newAPI(t)
	a.must(http.MethodPost, "c1", "v1alpha1/apiexportendpointslices", aSlice("things"))
	ctx := logicalcluster.WithCluster(genericapirequest.WithNamespace(t.Context(), ""), "c1")
	system := a.group.System["apiexportendpointslices"]
	read := func() *apisv1alpha1.APIExportEndpointSlice {
		obj, err := system.Get(ctx, "slice", &metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return obj.(*apisv1alpha1.APIExportEndpointSlice)
	}
	slice := read().DeepCopy()
	slice.Status.APIExportEndpoints = []apisv1alpha1.APIExportEndpoint{{URL: "/services/apiexport/c1/things"}}
	if _, _, err := system.Update(ctx, "slice", updated{slice}, nil, nil, false, &metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	shown := func(obj *unstructured.Unstructured) string {
		endpoints, _, err := unstructured.NestedSlice(obj.Object, "status", "endpoints")
		if err != nil || len(endpoints) != 1 {
			t.Fatalf("endpoints: %v, %v", obj.Object["status"], err)
		}
		return endpoints[0].(map[string]any)["url"].(string)
	}
	for _, address := range []string{"https://annex.test:6443", "https://moved.test"} {
		a.external = address
		got := a.must(http.MethodGet, "c1", "v1alpha1/apiexportendpointslices/slice", nil)
		if want := address + "/services/apiexport/c1/things"; shown(got) != want {
			t.Errorf("url = %s, want %s", shown(got), want)
		}
		// What is sent back is not stored.
		got.SetLabels(map[string]string{"at": "x" + address[8:13]})
		a.must(http.MethodPut, "c1", "v1alpha1/apiexportendpointslices/slice", got.Object)
		a.must(http.MethodPut, "c1", "v1alpha1/apiexportendpointslices/slice/status", func() map[string]any {
			return a.must(http.MethodGet, "c1", "v1alpha1/apiexportendpointslices/slice", nil).Object
		}())
		if url := read().Status.APIExportEndpoints[0].URL; url != "/services/apiexport/c1/things" {
			t.Errorf("stored url = %s", url)
		}
	}
}

// updated hands out a fixed object.
type updated struct{ obj runtime.Object }

func (updated) Preconditions() *metav1.Preconditions { return nil }
func (u updated) UpdatedObject(context.Context, runtime.Object) (runtime.Object, error) {
	return u.obj.DeepCopyObject(), nil
}

func TestWithBindingsOf(t *testing.T) {
	a := newAPI(t)
	for cluster, label := range map[string]string{"c1": "mine", "c2": "other"} {
		a.must(http.MethodPost, cluster, "v1alpha2/apibindings", aBinding(v1alpha2, "b-"+label, "things", label))
	}
	mine := func(req *http.Request) { *req = *req.WithContext(WithBindingsOf(req.Context(), "mine")) }
	everywhere := func(req *http.Request) { *req = *req.WithContext(logicalcluster.WithWildcard(req.Context())) }
	for name, tc := range map[string]struct {
		change []func(*http.Request)
		query  string
		want   string
	}{
		"all of them":                {[]func(*http.Request){everywhere}, "", "b-mine b-other"},
		"those of one export":        {[]func(*http.Request){everywhere, mine}, "", "b-mine"},
		"a selector for others":      {[]func(*http.Request){everywhere, mine}, "?labelSelector=internal.apis.kcp.io/export%3Dother", ""},
		"a selector that fits":       {[]func(*http.Request){everywhere, mine}, "?labelSelector=internal.apis.kcp.io/export%3Dmine", "b-mine"},
		"a field selector for other": {[]func(*http.Request){everywhere, mine}, "?fieldSelector=metadata.name%3Db-other", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, version := range []string{v1alpha1, v1alpha2} {
				list := a.must(http.MethodGet, "c1", version+"/apibindings"+tc.query, nil, tc.change...)
				var names []string
				for _, item := range list.Object["items"].([]any) {
					names = append(names, item.(map[string]any)["metadata"].(map[string]any)["name"].(string))
				}
				if got := strings.Join(names, " "); got != tc.want {
					t.Errorf("%s: %q, want %q", version, got, tc.want)
				}
			}
		})
	}
	if code, _ := a.do(http.MethodGet, "c2", "v1alpha2/apibindings/b-other", nil, mine); code != http.StatusNotFound {
		t.Errorf("getting a binding to another export: %d", code)
	}
	if code, _ := a.do(http.MethodGet, "c1", "v1alpha2/apibindings/b-mine", nil, mine); code != http.StatusOK {
		t.Errorf("getting a binding to the export: %d", code)
	}
}

func TestGroup_ServerSideApply(t *testing.T) {
	a := newAPI(t)
	apply := func(version, manager string, body map[string]any) {
		t.Helper()
		a.must(http.MethodPatch, "c1", version+"/apiexports/things?fieldManager="+manager, body, func(req *http.Request) {
			req.Header.Set("Content-Type", "application/apply-patch+yaml")
		})
	}
	apply(v1alpha1, "older", anExport(v1alpha1, "things"))
	apply(v1alpha2, "newer", map[string]any{
		"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIExport", "metadata": map[string]any{"name": "things"},
		"spec": map[string]any{"resources": []any{map[string]any{"name": "gadgets", "group": "example.com", "schema": "v1.gadgets.example.com"}}},
	})
	got := a.must(http.MethodGet, "c1", "v1alpha1/apiexports/things", nil)
	names, _, err := unstructured.NestedStringSlice(got.Object, "spec", "latestResourceSchemas")
	if err != nil || len(names) != 2 {
		t.Errorf("two managers in two versions made %v, %v", names, err)
	}
}
