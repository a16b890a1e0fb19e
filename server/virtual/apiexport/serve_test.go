package apiexport

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/schemas/crd"
)

// newWorldWithConsumers returns a world in which c1 and c2 each have bound widgets and made one called same.
func newWorldWithConsumers(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.offer("things", "hash-things", "widgets")
	for _, consumer := range []string{"c1", "c2"} {
		w.bind(lc(consumer), "b", "things", "hash-things", "widgets")
		w.must(request{method: http.MethodPost, target: consumer, path: widgetsIn, body: widget("same", consumer)})
	}
	return w
}

func TestServe_AllConsumersAndOne(t *testing.T) {
	w := newWorldWithConsumers(t)
	list := w.must(request{target: "*", path: "/apis/example.com/v1/widgets"})
	if diff := cmp.Diff([]string{"c1|default/same", "c2|default/same"}, items(list)); diff != "" {
		t.Error(diff)
	}
	one := w.must(request{target: "c2", path: widgetsIn + "/same"})
	if color, _, _ := unstructured.NestedString(one.Object, "spec", "color"); color != "c2" || describe(one) != "c2|default/same" {
		t.Errorf("c2 has %v", one.Object)
	}
	w.must(request{method: http.MethodPatch, target: "c2", path: widgetsIn + "/same", body: map[string]any{"spec": map[string]any{"color": "new"}}, contentType: "application/merge-patch+json"})
	w.must(request{method: http.MethodPatch, target: "c2", path: widgetsIn + "/same/status", body: map[string]any{"status": map[string]any{"phase": "Done"}}, contentType: "application/merge-patch+json"})
	w.must(request{method: http.MethodPatch, target: "c2", path: widgetsIn + "/applied?fieldManager=me", body: widget("applied", "green"), contentType: "application/apply-patch+yaml"})
	changed := w.must(request{target: "c2", path: widgetsIn + "/same"})
	if phase, _, _ := unstructured.NestedString(changed.Object, "status", "phase"); phase != "Done" {
		t.Errorf("c2 has %v", changed.Object)
	}
	w.must(request{method: http.MethodDelete, target: "c1", path: widgetsIn + "/same"})
	if diff := cmp.Diff([]string{"c2|default/applied", "c2|default/same"}, items(w.must(request{target: "*", path: "/apis/example.com/v1/widgets"}))); diff != "" {
		t.Error(diff)
	}
	w.must(request{method: http.MethodDelete, target: "c2", path: widgetsIn})
	if diff := cmp.Diff([]string{}, items(w.must(request{target: "*", path: "/apis/example.com/v1/widgets"}))); diff != "" {
		t.Error(diff)
	}
}

func TestServe_OtherIdentitiesNeverShow(t *testing.T) {
	w := newWorld(t)
	w.offer("things", "hash-things", "widgets")
	w.offer("other", "hash-other", "widgets")
	w.bind("c1", "b", "things", "hash-things", "widgets")
	w.bind("c2", "b", "other", "hash-other", "widgets")
	w.must(request{method: http.MethodPost, target: "c1", path: widgetsIn, body: widget("mine", "red")})
	w.must(request{method: http.MethodPost, export: "other", target: "c2", path: widgetsIn, body: widget("theirs", "blue")})

	if diff := cmp.Diff([]string{"c1|default/mine"}, items(w.must(request{target: "*", path: "/apis/example.com/v1/widgets"}))); diff != "" {
		t.Error(diff)
	}
	for _, r := range []request{
		{target: "c2", path: widgetsIn},
		{target: "c2", path: widgetsIn + "/theirs"},
		{target: "c2", path: "/apis/apis.kcp.io/v1alpha2/apibindings"},
		{method: http.MethodDelete, target: "c2", path: widgetsIn + "/theirs"},
		{method: http.MethodPost, target: "c2", path: widgetsIn, body: widget("x", "x")},
		{target: "provider", path: widgetsIn},
		{target: "nobody", path: widgetsIn},
	} {
		if code, obj := w.do(r); code != http.StatusForbidden {
			t.Errorf("%s %s in %s: %d %v", r.method, r.path, r.target, code, obj.Object)
		}
		// Nor can masters write where nothing is bound.
		r.who = "master"
		if code, obj := w.do(r); code != http.StatusNotFound && !strings.Contains(r.path, "apibindings") {
			t.Errorf("master: %s %s in %s: %d %v", r.method, r.path, r.target, code, obj.Object)
		}
	}
	// A binding to the export that has not bound the resource, since another had it first.
	w.bind("c2", "late", "things", "hash-things")
	if code, _ := w.do(request{target: "c2", path: widgetsIn}); code != http.StatusForbidden {
		t.Errorf("a resource bound from another export: %d", code)
	}
	// A binding whose objects lie under another identity.
	w.bind("c3", "stale", "things", "hash-before", "widgets")
	if code, _ := w.do(request{target: "c3", path: widgetsIn}); code != http.StatusForbidden {
		t.Errorf("a resource bound under another identity: %d", code)
	}
}

// The export offers another schema than the consumer has bound, with another scope: what the provider would create there has no name
// for the consumer.
func TestServe_NothingIsCreatedInAnotherScope(t *testing.T) {
	w := newWorld(t)
	w.offer("things", "hash-things", "widgets")
	w.bind("c1", "b", "things", "hash-things", "widgets")
	source := newSchema("v0", "widgets", false)
	source.UID, source.Spec.Scope = "x-widgets", apiextensionsv1.ClusterScoped // what bind says is bound
	w.serve(source)
	for _, r := range []request{
		{method: http.MethodPost, path: widgetsIn},
		{method: http.MethodPatch, path: widgetsIn + "/mine?fieldManager=test", contentType: "application/apply-patch+yaml"},
	} {
		r.target, r.body = "c1", widget("mine", "red")
		if code, obj := w.do(r); code != http.StatusNotFound {
			t.Errorf("%s: %d %v", r.method, code, obj.Object)
		}
	}
	if got := items(w.must(request{target: "c1", path: widgetsIn})); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

// serve makes a schema one that consumers have bound.
func (w *world) serve(source *apisv1alpha1.APIResourceSchema) {
	w.t.Helper()
	bound, err := crd.Bound(source, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	definitions := schema.GroupResource{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}
	if _, err := w.client.Create(w.t.Context(), definitions, logicalcluster.SystemBoundCRDs, bound); err != nil {
		w.t.Fatal(err)
	}
}

// withVersion returns a schema that also has version v2, in which objects are stored.
func withVersion(source *apisv1alpha1.APIResourceSchema) *apisv1alpha1.APIResourceSchema {
	next := *source.Spec.Versions[0].DeepCopy()
	next.Name, source.Spec.Versions[0].Storage = "v2", false
	source.Spec.Versions[0].Served, next.Served = ptr.To(true), ptr.To(true)
	source.Spec.Versions = append(source.Spec.Versions, next)
	source.Spec.Conversion = &apisv1alpha1.CustomResourceConversion{Strategy: "None"}
	return source
}

// What the provider writes in a workspace that does not have the newest schema yet is stored as the workspace itself stores it: the binding lists that
// version only, and no later schema has to have another one.
func TestServe_StoresInTheVersionOfTheConsumer(t *testing.T) {
	w := newWorld(t)
	w.create("apiresourceschemas", provider, withVersion(newSchema("new.widgets.example.com", "widgets", false)))
	newest := newSchema("new.gadgets.example.com", "gadgets", false)
	newest.Spec.Versions[0].Name, newest.Spec.Versions[0].Served = "v2", ptr.To(true)
	w.create("apiresourceschemas", provider, newest)
	w.create("apiexports", provider, &apisv1alpha2.APIExport{
		ObjectMeta: metav1.ObjectMeta{Name: "things"}, Status: apisv1alpha2.APIExportStatus{IdentityHash: "hash-things"},
		Spec: apisv1alpha2.APIExportSpec{Resources: []apisv1alpha2.ResourceSchema{
			{Name: "widgets", Group: "example.com", Schema: "new.widgets.example.com", Storage: apisv1alpha2.ResourceSchemaStorage{CRD: &apisv1alpha2.ResourceSchemaStorageCRD{}}},
			{Name: "gadgets", Group: "example.com", Schema: "new.gadgets.example.com", Storage: apisv1alpha2.ResourceSchemaStorage{CRD: &apisv1alpha2.ResourceSchemaStorageCRD{}}},
		}},
	})
	w.bind("c1", "b", "things", "hash-things", "widgets", "gadgets")
	w.bind("c2", "b", "things", "hash-things", "widgets")
	v2 := strings.Replace(widgetsIn, "/v1/", "/v2/", 1)
	stored := func(cluster string) string {
		t.Helper()
		found, err := w.etcd.Client.Get(t.Context(), "/annex/cr/", clientv3.WithPrefix())
		if err != nil {
			t.Fatal(err)
		}
		for _, kv := range found.Kvs {
			var object metav1.PartialObjectMetadata
			if strings.Contains(string(kv.Key), "/"+cluster+"/") && json.Unmarshal(kv.Value, &object) == nil && object.Name == "w" {
				return object.APIVersion
			}
		}
		return "nowhere"
	}
	body := widget("w", "red")
	body["apiVersion"] = "example.com/v2"
	w.must(request{method: http.MethodPost, target: "c2", path: v2, body: body})
	if got := stored("c2"); got != "example.com/v2" {
		t.Errorf("where no other schema is known: %s", got)
	}
	for _, resource := range []string{"widgets", "gadgets"} {
		old := newSchema("old", resource, false)
		old.Name, old.UID = "old-"+resource, types.UID("x-"+resource)
		w.serve(old)
	}
	for _, r := range []request{
		{method: http.MethodPost, path: v2, body: body},
		{method: http.MethodPatch, path: v2 + "/w", body: map[string]any{"spec": map[string]any{"color": "blue"}}, contentType: "application/merge-patch+json"},
		{method: http.MethodPatch, path: v2 + "/w/status", body: map[string]any{"status": map[string]any{"phase": "Ready"}}, contentType: "application/merge-patch+json"},
	} {
		r.target = "c1"
		if obj := w.must(r); obj.GetAPIVersion() != "example.com/v2" {
			t.Errorf("%s: %v", r.method, obj.Object)
		}
		if got := stored("c1"); got != "example.com/v1" {
			t.Errorf("%s: %s", r.method, got)
		}
	}
	gadgets := strings.Replace(v2, "widgets", "gadgets", 1)
	body["kind"] = "Gadget"
	code, obj := w.do(request{method: http.MethodPost, target: "c1", path: gadgets, body: body})
	if message, _, _ := unstructured.NestedString(obj.Object, "message"); code != http.StatusConflict || !strings.Contains(message, "stores objects in version v1, which the schema that the APIExport names does not have") {
		t.Errorf("a schema without the version: %d %v", code, obj.Object)
	}
	w.must(request{method: http.MethodDelete, target: "c1", path: v2 + "/w"})
}

func TestServe_Bindings(t *testing.T) {
	w := newWorld(t)
	w.offer("things", "hash-things", "widgets")
	w.offer("other", "hash-other", "widgets")
	w.bind("c1", "mine", "things", "hash-things", "widgets")
	w.bind("c1", "theirs", "other", "hash-other")
	w.bind("c2", "theirs", "other", "hash-other", "widgets")
	for _, version := range []string{"v1alpha1", "v1alpha2"} {
		path := "/apis/apis.kcp.io/" + version + "/apibindings"
		list := w.must(request{target: "*", path: path})
		if diff := cmp.Diff([]string{"c1|/mine"}, items(list)); diff != "" || list.GetAPIVersion() != "apis.kcp.io/"+version {
			t.Error(list.GetAPIVersion(), diff)
		}
		if diff := cmp.Diff([]string{"c1|/mine"}, items(w.must(request{target: "c1", path: path}))); diff != "" {
			t.Error(diff)
		}
		w.must(request{target: "c1", path: path + "/mine"})
		if code, _ := w.do(request{target: "c1", path: path + "/theirs"}); code != http.StatusNotFound {
			t.Errorf("a binding to another export: %d", code)
		}
		for _, r := range []request{
			{method: http.MethodDelete, target: "c1", path: path + "/mine"},
			{method: http.MethodPost, target: "c1", path: path, body: map[string]any{}},
			{method: http.MethodPatch, target: "c1", path: path + "/mine", body: map[string]any{}, contentType: "application/merge-patch+json"},
			{method: http.MethodDelete, target: "c1", path: path},
		} {
			if code, obj := w.do(r); code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d %v", r.method, r.path, code, obj.Object)
			}
		}
		if code, _ := w.do(request{target: "c1", path: path + "/mine/status"}); code != http.StatusNotFound {
			t.Errorf("the status: %d", code)
		}
	}
}

func TestServe_BadRequests(t *testing.T) {
	w := newWorld(t)
	w.offer("things", "hash-things", "widgets")
	w.bind("c1", "b", "things", "hash-things", "widgets")
	w.create("apiexports", provider, &apisv1alpha2.APIExport{ObjectMeta: named("fresh")})
	w.policy["alice * fresh provider"], w.policy["alice * missing provider"] = true, true
	for name, tc := range map[string]struct {
		request
		code int
	}{
		"a namespace of all consumers":        {request{target: "*", path: widgetsIn}, http.StatusBadRequest},
		"one object of all consumers":         {request{target: "*", path: "/apis/example.com/v1/widgets/a"}, http.StatusMethodNotAllowed},
		"a write to all consumers":            {request{method: http.MethodPost, target: "*", path: "/apis/example.com/v1/widgets", body: widget("a", "red")}, http.StatusMethodNotAllowed},
		"a deletion in all consumers":         {request{method: http.MethodDelete, target: "*", path: "/apis/example.com/v1/widgets"}, http.StatusMethodNotAllowed},
		"a resource that is not exported":     {request{target: "*", path: "/apis/example.com/v1/gadgets"}, http.StatusNotFound},
		"the same in one consumer":            {request{target: "c1", path: "/apis/example.com/v1/gadgets"}, http.StatusNotFound},
		"a built-in resource":                 {request{target: "c1", path: "/api/v1/secrets"}, http.StatusNotFound},
		"exports":                             {request{target: "c1", path: "/apis/apis.kcp.io/v1alpha2/apiexports"}, http.StatusNotFound},
		"a version that is not served":        {request{target: "c1", path: "/apis/example.com/v2/widgets"}, http.StatusNotFound},
		"scale":                               {request{target: "c1", path: widgetsIn + "/a/scale"}, http.StatusNotFound},
		"an export that does not exist":       {request{export: "missing", target: "*", path: "/apis/example.com/v1/widgets"}, http.StatusNotFound},
		"an export without an identity":       {request{export: "fresh", target: "*", path: "/apis/example.com/v1/widgets"}, http.StatusServiceUnavailable},
		"metrics":                             {request{target: "c1", path: "/metrics"}, http.StatusNotFound},
		"profiles":                            {request{target: "c1", path: "/debug/pprof/heap"}, http.StatusNotFound},
		"the root":                            {request{target: "c1", path: "/"}, http.StatusNotFound},
		"an export that one has no access to": {request{who: "mallory", target: "*", path: "/apis/example.com/v1/widgets"}, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			if code, obj := w.do(tc.request); code != tc.code {
				t.Errorf("%d %v", code, obj.Object)
			}
		})
	}
}

func TestServe_TypedResources(t *testing.T) {
	w := newWorld(t)
	s := newSchema("v1.workspaces.tenancy.kcp.io", "widgets", false)
	s.Spec.Group, s.Spec.Names.Plural = "tenancy.kcp.io", "workspaces"
	w.create("apiresourceschemas", "root", s)
	w.create("apiexports", "root", &apisv1alpha2.APIExport{
		ObjectMeta: named("tenancy.kcp.io"), Status: apisv1alpha2.APIExportStatus{IdentityHash: "hash"},
		Spec: apisv1alpha2.APIExportSpec{Resources: []apisv1alpha2.ResourceSchema{{
			Name: "workspaces", Group: "tenancy.kcp.io", Schema: s.Name, Storage: apisv1alpha2.ResourceSchemaStorage{CRD: &apisv1alpha2.ResourceSchemaStorageCRD{}},
		}}},
	})
	const path = "/apis/tenancy.kcp.io/v1alpha1/workspaces"
	send := func(r request) (int, string) {
		req := w.prepare(t.Context(), r)
		req = req.WithContext(withExport(req.Context(), "root", "tenancy.kcp.io"))
		recorder := httptest.NewRecorder()
		w.handler.ServeHTTP(recorder, req)
		return recorder.Code, recorder.Body.String()
	}
	if code, body := send(request{who: "master", target: "*", path: path}); code != http.StatusOK || len(w.typed) != 1 {
		t.Errorf("all consumers: %d %s", code, body)
	} else if ctx := w.typed[0].Context(); !logicalcluster.IsWildcard(ctx) {
		t.Error("typed storage is not asked about all clusters")
	}
	w.typed = nil
	for name, tc := range map[string]struct {
		request
		code int
	}{
		"a write to all consumers":               {request{who: "master", method: http.MethodPost, target: "*", path: path, body: map[string]any{}}, http.StatusMethodNotAllowed},
		"a consumer that has not bound it":       {request{who: "master", target: "c1", path: path}, http.StatusNotFound},
		"a subresource that it does not have":    {request{who: "master", target: "c1", path: path + "/w/scale"}, http.StatusNotFound},
		"a status that only the server writes":   {request{who: "master", method: http.MethodPut, target: "c1", path: path + "/w/status", body: map[string]any{}}, http.StatusForbidden},
		"a user without access to the content":   {request{target: "*", path: path}, http.StatusForbidden},
		"a resource that the export has not got": {request{who: "master", target: "*", path: "/apis/tenancy.kcp.io/v1alpha1/workspacetypes"}, http.StatusNotFound},
	} {
		if code, body := send(tc.request); code != tc.code || len(w.typed) > 0 {
			t.Errorf("%s: %d %s, reached typed storage: %d", name, code, body, len(w.typed))
		}
	}
}

func TestIdentified(t *testing.T) {
	w := newWorld(t)
	w.offer("things", "hash-things", "widgets")
	w.offer("other", "hash-other", "widgets")
	w.create("apiexports", provider, &apisv1alpha2.APIExport{ObjectMeta: named("fresh"), Spec: apisv1alpha2.APIExportSpec{Resources: []apisv1alpha2.ResourceSchema{{
		Name: "gadgets", Group: "example.com", Schema: "v1.gadgets.example.com", Storage: apisv1alpha2.ResourceSchemaStorage{CRD: &apisv1alpha2.ResourceSchemaStorageCRD{}},
	}}}})
	widgets, gadgets := schema.GroupResource{Group: "example.com", Resource: "widgets"}, schema.GroupResource{Group: "example.com", Resource: "gadgets"}
	for _, identity := range []string{"hash-things", "hash-other"} {
		target, err := w.endpoint.Identified(t.Context(), widgets, identity)
		if err != nil || !target.All || target.Resource.Bucket != identity || target.Filter != nil {
			t.Errorf("%s: %+v, %v", identity, target, err)
			continue
		}
		if target.While.Cluster != provider || !target.While.Holds(t.Context()) {
			t.Errorf("%s: nothing would end a watch: %+v", identity, target.While)
		}
	}
	for name, tc := range map[string]struct {
		gr       schema.GroupResource
		identity string
	}{
		"an identity that nobody has":      {widgets, "hash"},
		"no identity":                      {gadgets, ""},
		"a resource that is not offered":   {gadgets, "hash-things"},
		"a built-in resource":              {schema.GroupResource{Resource: "secrets"}, "hash-things"},
		"a resource of root's own exports": {schema.GroupResource{Group: "tenancy.kcp.io", Resource: "workspaces"}, "hash-things"},
	} {
		if target, err := w.endpoint.Identified(t.Context(), tc.gr, tc.identity); !apierrors.IsNotFound(err) {
			t.Errorf("%s: %+v, %v", name, target, err)
		}
	}
	target, err := w.endpoint.Identified(t.Context(), widgets, "hash-things")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.client.Delete(t.Context(), exports, client.Key{Cluster: provider, Name: "things"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		return !target.While.Holds(ctx), nil
	}); err != nil {
		t.Error("a watch goes on when nobody knows the API any more")
	}
}

func TestServe_Discovery(t *testing.T) {
	w := newWorld(t)
	w.offer("things", "hash-things", "widgets")
	for _, target := range []string{"*", "c1"} {
		groups := w.must(request{target: target, path: "/apis"})
		var names []string
		for _, g := range groups.Object["groups"].([]any) {
			names = append(names, g.(map[string]any)["name"].(string))
		}
		slices.Sort(names)
		if diff := cmp.Diff([]string{"apis.kcp.io", "example.com"}, names); diff != "" {
			t.Error(diff)
		}
	}
	verbs := func(path string) map[string]string {
		all := map[string]string{}
		for _, r := range w.must(request{target: "*", path: path}).Object["resources"].([]any) {
			resource := r.(map[string]any)
			var verbs []string
			for _, verb := range resource["verbs"].([]any) {
				verbs = append(verbs, verb.(string))
			}
			slices.Sort(verbs)
			all[resource["name"].(string)] = strings.Join(verbs, " ")
		}
		return all
	}
	if diff := cmp.Diff(map[string]string{
		"widgets": "create delete deletecollection get list patch update watch", "widgets/status": "get patch update",
	}, verbs("/apis/example.com/v1")); diff != "" {
		t.Error(diff)
	}
	for _, version := range []string{"v1alpha1", "v1alpha2"} {
		if diff := cmp.Diff(map[string]string{"apibindings": "get list watch"}, verbs("/apis/apis.kcp.io/"+version)); diff != "" {
			t.Error(diff)
		}
	}
	aggregated := w.must(request{target: "*", path: "/apis", accept: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"})
	if len(aggregated.Object["items"].([]any)) != 2 {
		t.Errorf("aggregated: %v", aggregated.Object)
	}
	paths := w.must(request{target: "*", path: "/openapi/v3"}).Object["paths"].(map[string]any)
	for _, path := range []string{"apis/example.com/v1", "apis/apis.kcp.io/v1alpha2"} {
		if _, ok := paths[path]; !ok {
			t.Errorf("OpenAPI has no %s: %v", path, paths)
			continue
		}
		document := w.must(request{target: "*", path: "/openapi/v3/" + path})
		if len(document.Object["components"].(map[string]any)) == 0 {
			t.Errorf("OpenAPI of %s: %v", path, document.Object)
		}
	}
	if got := w.must(request{target: "*", path: "/version"}).Object["gitVersion"]; got != "v1.37.2" {
		t.Errorf("version = %v", got)
	}
	if code, _ := w.do(request{who: "mallory", target: "*", path: "/apis"}); code != http.StatusForbidden {
		t.Errorf("discovery without access: %d", code)
	}
}

// stream is an open watch.
type stream struct {
	t      *testing.T
	lines  *bufio.Reader
	cancel context.CancelFunc
}

// watch opens one over a real connection.
func (w *world) watch(r request) *stream {
	w.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		r.path = req.URL.RequestURI()
		w.handler.ServeHTTP(rw, w.prepare(req.Context(), r))
	}))
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	w.t.Cleanup(server.Close)
	w.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+r.path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		w.t.Fatalf("watch %s: %d %s", r.path, resp.StatusCode, body)
	}
	return &stream{t: w.t, lines: bufio.NewReader(resp.Body), cancel: cancel}
}

// next returns the next event as "TYPE cluster|namespace/name"; "end" when the watch is over.
func (s *stream) next() string {
	s.t.Helper()
	line, err := s.lines.ReadBytes('\n')
	if errors.Is(err, io.EOF) {
		return "end"
	}
	if err != nil {
		s.t.Fatal(err)
	}
	var event struct {
		Type   string          `json:"type"`
		Object json.RawMessage `json:"object"`
	}
	if err := json.Unmarshal(line, &event); err != nil {
		s.t.Fatal(err)
	}
	obj := &unstructured.Unstructured{}
	if err := utiljson.Unmarshal(event.Object, &obj.Object); err != nil {
		s.t.Fatal(err)
	}
	return event.Type + " " + describe(obj)
}

func TestServe_WatchGoesOnWhenAConsumerBinds(t *testing.T) {
	w := newWorld(t)
	w.offer("things", "hash-things", "widgets")
	w.offer("other", "hash-other", "widgets")
	objects := w.watch(request{target: "*", path: "/apis/example.com/v1/widgets?watch=true"})
	bindings := w.watch(request{target: "*", path: "/apis/apis.kcp.io/v1alpha2/apibindings?watch=true"})
	for _, consumer := range []string{"c1", "c2"} {
		w.bind(lc("x"+consumer), "b", "other", "hash-other", "widgets")
		w.must(request{method: http.MethodPost, export: "other", target: "x" + consumer, path: widgetsIn, body: widget("theirs", "red")})
		w.bind(lc(consumer), "b", "things", "hash-things", "widgets")
		w.must(request{method: http.MethodPost, target: consumer, path: widgetsIn, body: widget("mine", "red")})
		if got, want := bindings.next(), "ADDED "+consumer+"|/b"; got != want {
			t.Errorf("binding: %s, want %s", got, want)
		}
		if got, want := objects.next(), "ADDED "+consumer+"|default/mine"; got != want {
			t.Errorf("object: %s, want %s", got, want)
		}
	}
	w.must(request{method: http.MethodDelete, target: "c1", path: widgetsIn + "/mine"})
	if got := objects.next(); got != "DELETED c1|default/mine" {
		t.Errorf("object: %s", got)
	}
}

func TestServe_WatchEndsWithWhatIsOffered(t *testing.T) {
	w := newWorld(t)
	w.offer("things", "hash-things", "widgets", "gadgets")
	ctx, cancel := context.WithCancel(t.Context())
	running := make(chan error, 1)
	go func() { running <- w.endpoint.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-running; err != nil {
			t.Error(err)
		}
	})
	key := client.Key{Cluster: provider, Name: "things"}
	update := func(change func(*apisv1alpha2.APIExport)) {
		t.Helper()
		obj, err := w.client.Live().Get(t.Context(), exports, key)
		if err != nil {
			t.Fatal(err)
		}
		export := obj.(*apisv1alpha2.APIExport).DeepCopy()
		change(export)
		if _, err := w.client.Update(t.Context(), exports, provider, export); err != nil {
			t.Fatal(err)
		}
	}
	widgets := w.watch(request{target: "*", path: "/apis/example.com/v1/widgets?watch=true"})
	gadgets := w.watch(request{target: "*", path: "/apis/example.com/v1/gadgets?watch=true"})
	w.create("apiresourceschemas", provider, func() *schemaObject {
		s := newSchema("v2-things.widgets.example.com", "widgets", false)
		s.Spec.Versions[0].Schema.Raw = []byte(`{"type":"object","x-kubernetes-preserve-unknown-fields":true}`)
		return s
	}())
	update(func(e *apisv1alpha2.APIExport) { e.Spec.Resources[0].Schema = "v2-things.widgets.example.com" })
	if got := widgets.next(); got != "end" {
		t.Errorf("the watch on a schema that was replaced: %s", got)
	}
	// The other resource is not touched.
	w.bind("c1", "b", "things", "hash-things", "widgets", "gadgets")
	gadget := widget("g", "red")
	gadget["kind"] = "Gadget"
	w.must(request{method: http.MethodPost, target: "c1", path: "/apis/example.com/v1/namespaces/default/gadgets", body: gadget})
	if got := gadgets.next(); got != "ADDED c1|default/g" {
		t.Errorf("gadgets: %s", got)
	}
	bindings := w.watch(request{target: "*", path: "/apis/apis.kcp.io/v1alpha1/apibindings?watch=true"})
	if err := w.client.Delete(t.Context(), exports, key, nil); err != nil {
		t.Fatal(err)
	}
	if got := gadgets.next(); got != "end" {
		t.Errorf("the watch on an export that is gone: %s", got)
	}
	for got := bindings.next(); got != "end"; got = bindings.next() {
		if !strings.HasPrefix(got, "ADDED c1|") {
			t.Fatalf("bindings: %s", got)
		}
	}
}

func TestServe_BindingThatIsDeleted(t *testing.T) {
	w := newWorld(t)
	w.offer("things", "hash-things", "widgets")
	w.bind("c1", "b", "things", "hash-things", "widgets")
	w.must(request{method: http.MethodPost, target: "c1", path: widgetsIn, body: widget("a", "red")})
	obj, err := w.client.Live().Get(t.Context(), bindings, client.Key{Cluster: "c1", Name: "b"})
	if err != nil {
		t.Fatal(err)
	}
	held := obj.(*apisv1alpha2.APIBinding).DeepCopy()
	held.Finalizers = []string{apisv1alpha2.APIBindingFinalizer}
	if _, err := w.client.Update(t.Context(), bindings, "c1", held); err != nil {
		t.Fatal(err)
	}
	if err := w.client.Delete(t.Context(), bindings, client.Key{Cluster: "c1", Name: "b"}, nil); err != nil {
		t.Fatal(err)
	}
	// A consistent list returns when the watch cache, from which the endpoint reads, has seen the deletion.
	if left, err := w.client.Live().List(t.Context(), bindings, client.Scope{Cluster: "c1"}); err != nil || len(left) != 1 {
		t.Fatalf("the binding while a finalizer holds it: %v, %v", left, err)
	}
	if code, obj := w.do(request{method: http.MethodPost, target: "c1", path: widgetsIn, body: widget("b", "red")}); code != http.StatusMethodNotAllowed {
		t.Errorf("create: %d %v", code, obj.Object)
	}
	if code, obj := w.do(request{method: http.MethodPatch, target: "c1", path: widgetsIn + "/b?fieldManager=me", body: widget("b", "red"), contentType: "application/apply-patch+yaml"}); code < 400 {
		t.Errorf("apply of a new object: %d %v", code, obj.Object)
	}
	w.must(request{method: http.MethodPatch, target: "c1", path: widgetsIn + "/a", body: map[string]any{"spec": map[string]any{"color": "new"}}, contentType: "application/merge-patch+json"})
	w.must(request{method: http.MethodDelete, target: "c1", path: widgetsIn + "/a"})
}
