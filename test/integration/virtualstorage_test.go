package integration

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/test/framework/annex"
)

var gadgetResource = schema.GroupVersionResource{Group: "example.net", Version: "v1", Resource: "gadgets"}

const gadgetSchema = `
apiVersion: apis.kcp.io/v1alpha1
kind: APIResourceSchema
metadata: {name: v1.gadgets.example.net}
spec:
  group: example.net
  scope: Cluster
  names: {plural: gadgets, singular: gadget, kind: Gadget, listKind: GadgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}
    subresources: {status: {}}
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
`

const gadgetSliceDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgetslices.example.net}
spec:
  group: example.net
  scope: Cluster
  names: {plural: gadgetslices, singular: gadgetslice, kind: GadgetSlice, listKind: GadgetSliceList}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`

const gadgetExport = `
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: gadgets}
spec:
  resources:
  - name: gadgets
    group: example.net
    schema: v1.gadgets.example.net
    storage: {virtual: {reference: {apiGroup: example.net, kind: GadgetSlice, name: far}}}
`

func gadgetSlice(urls ...string) string {
	endpoints := make([]string, 0, len(urls))
	for _, url := range urls {
		endpoints = append(endpoints, fmt.Sprintf("{url: %q}", url))
	}
	return "apiVersion: example.net/v1\nkind: GadgetSlice\nmetadata: {name: far}\nstatus: {endpoints: [" + strings.Join(endpoints, ", ") + "]}\n"
}

// gadgetServer is a server that serves gadgets to consumers, below /base. Each consumer has its own.
type gadgetServer struct {
	mu     sync.Mutex
	stored map[string]map[string]any // by consumer and name
}

// newGadgets returns one, with the requests that it gets.
func newGadgets(t *testing.T) *elsewhere {
	g := &gadgetServer{stored: map[string]map[string]any{}}
	e := &elsewhere{}
	e.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		e.seen = append(e.seen, r.Header.Clone())
		e.mu.Unlock()
		g.ServeHTTP(w, r)
	}))
	e.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	e.StartTLS()
	t.Cleanup(e.Close)
	return e
}

// ServeHTTP serves /base/clusters/<consumer>/apis/example.net/v1/gadgets[/<name>], as JSON and without tables.
func (g *gadgetServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	consumer, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/base/clusters/"), "/")
	name := strings.Trim(strings.TrimPrefix(path, "apis/example.net/v1/gadgets"), "/")
	w.Header().Set("Content-Type", "application/json")
	answer := func(code int, obj any) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(obj)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case name == "redirected":
		w.Header().Set("Location", "https://example.com")
		w.WriteHeader(http.StatusFound)
	case r.Method == http.MethodPost:
		obj := map[string]any{}
		if err := json.NewDecoder(r.Body).Decode(&obj); err != nil {
			answer(http.StatusBadRequest, map[string]any{"kind": "Status", "apiVersion": "v1", "code": 400})
			return
		}
		made, _, _ := unstructured.NestedString(obj, "metadata", "name")
		if g.stored[consumer] == nil {
			g.stored[consumer] = map[string]any{}
		}
		g.stored[consumer][made] = obj
		answer(http.StatusCreated, obj)
	case r.URL.Query().Get("watch") != "":
		for _, obj := range g.stored[consumer] {
			_ = json.NewEncoder(w).Encode(map[string]any{"type": "ADDED", "object": obj})
		}
		_ = http.NewResponseController(w).Flush()
		g.mu.Unlock()
		<-r.Context().Done()
		g.mu.Lock()
	case name == "":
		items := []any{}
		for _, obj := range g.stored[consumer] {
			items = append(items, obj)
		}
		answer(http.StatusOK, map[string]any{"apiVersion": "example.net/v1", "kind": "GadgetList", "metadata": map[string]any{"resourceVersion": "7"}, "items": items})
	case g.stored[consumer][name] == nil:
		answer(http.StatusNotFound, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": "not here"})
	case r.Method == http.MethodDelete:
		delete(g.stored[consumer], name)
		answer(http.StatusOK, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Success"})
	default:
		answer(http.StatusOK, g.stored[consumer][name])
	}
}

// A provider serves a resource from a server of its own, to consumers who use it like any other: with kubectl, tables and watches.
func TestVirtualStorage(t *testing.T) {
	target := newGadgets(t)
	s := startMounting(t, target, "--webhook-allow-cidr", "127.0.0.0/8")
	path, cluster := newWorkspace(t, s, "root", "provider")
	consumerPath, consumer := newWorkspace(t, s, "root", "consumer")
	otherPath, _ := newWorkspace(t, s, "root", "other")
	admit(t, s, consumerPath, alice)
	_, provider := annex.Clients(t, s.Workspace(path))
	_, there := annex.Clients(t, s.Workspace(consumerPath))

	apply(t, s.Workspace(path), gadgetSchema+"---\n"+gadgetExport)
	waitCondition(t, provider.Resource(exports), "gadgets", "VirtualStorageReady", "False", "EndpointNotFound")
	for _, at := range []string{consumerPath, otherPath} {
		apply(t, s.Workspace(at), binding("gadgets", path, "gadgets"))
	}
	waitCondition(t, there.Resource(bindings), "gadgets", "Ready", "True", "")
	waitCondition(t, there.Resource(bindings), "gadgets", "VirtualStorageReady", "False", "EndpointNotFound")
	at := "/clusters/" + consumerPath + "/apis/example.net/v1/gadgets"
	user := as(t, s, alice)
	want{503, metav1.StatusReasonServiceUnavailable, nil, "its GadgetSlice does not exist"}.check(t, user.get(at))

	apply(t, s.Workspace(path), gadgetSliceDefinition)
	waitCondition(t, provider.Resource(crds), "gadgetslices.example.net", "Established", "True", "")
	began := time.Now()
	apply(t, s.Workspace(path), gadgetSlice(target.URL+"/base"))
	waitCondition(t, provider.Resource(exports), "gadgets", "VirtualStorageReady", "True", "")
	waitCondition(t, there.Resource(bindings), "gadgets", "VirtualStorageReady", "True", "")
	t.Logf("ready after %s", time.Since(began))

	// Alice is alice there, whatever she says, and her token stays here.
	forged := http.Header{"X-Remote-Extra-Virtual.annex.dev%2fconsumer": {"forged"}, "X-Remote-User": {"root"}, "X-Remote-Group": {"system:masters"}}
	if a := user.send(request{method: http.MethodGet, path: at, headers: forged}); a.code != http.StatusOK || !strings.Contains(string(a.body), "GadgetList") {
		t.Fatalf("%d %s", a.code, a.body)
	}
	got := target.last()
	for name, values := range map[string][]string{
		"X-Remote-User": {alice}, "X-Remote-Group": {"devs", "system:authenticated"}, "Authorization": nil,
		"X-Remote-Extra-Virtual.annex.dev%2fconsumer": {consumer}, "X-Remote-Extra-Virtual.annex.dev%2fexport": {"gadgets"}, "X-Remote-Extra-Virtual.annex.dev%2fexport-Cluster": {cluster},
	} {
		if !slices.Equal(got[name], values) {
			t.Errorf("the other server gets %s: %q, want %q", name, got[name], values)
		}
	}

	// kubectl knows the resource by its schema, and shows its columns. The other consumer has gadgets of its own.
	s.Kubectl(consumerPath, "apiVersion: example.net/v1\nkind: Gadget\nmetadata: {name: g}\nspec: {size: 3}", "create", "-f", "-")
	if out := s.Kubectl(consumerPath, "", "get", "gadgets"); !strings.Contains(out, "SIZE") || !strings.Contains(out, "g      3") {
		t.Errorf("kubectl get: %s", out)
	}
	if out := s.Kubectl(consumerPath, "", "explain", "gadgets.spec"); !strings.Contains(out, "size") {
		t.Errorf("kubectl explain: %s", out)
	}
	if out := s.Kubectl(otherPath, "", "get", "gadgets", "-o", "name"); out != "" {
		t.Errorf("the other consumer sees %s", out)
	}
	if a := user.get("/clusters/" + consumerPath + "/apis/example.net/v1"); !strings.Contains(string(a.body), `"deletecollection"`) || !strings.Contains(string(a.body), "gadgets/status") {
		t.Errorf("discovery: %d %s", a.code, a.body)
	}
	want{404, metav1.StatusReasonNotFound, nil, "not here"}.check(t, user.get(at+"/missing"))
	want{502, metav1.StatusReasonServiceUnavailable, nil, "the server that serves gadgets.example.net for its provider answers with a redirect"}.check(t, user.get(at+"/redirected"))

	// A watch ends when the slice leads elsewhere.
	_, asAlice := annex.Clients(t, s.As(token(alice), consumerPath))
	open, err := asAlice.Resource(gadgetResource).Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Stop()
	if event := <-open.ResultChan(); event.Object.(metav1.Object).GetName() != "g" {
		t.Errorf("the first event is %v", event)
	}
	s.Kubectl(path, gadgetSlice(target.URL+"/elsewhere"), "apply", "--server-side", "--force-conflicts", "-f", "-")
	for range open.ResultChan() { // until it ends
		continue
	}
	s.Kubectl(path, gadgetSlice(target.URL+"/base"), "apply", "--server-side", "--force-conflicts", "-f", "-")

	// Who gets no request there.
	seen := len(target.seen)
	for name, c := range map[string]struct {
		wire    *wire
		headers http.Header
	}{
		"no RBAC":                                {as(t, s, bob), nil},
		"anonymous":                              {as(t, s, ""), nil},
		"as somebody else":                       {user, http.Header{"Impersonate-User": {bob}}},
		"as somebody else, as an administrator":  {asAdmin(t, s), http.Header{"Impersonate-User": {bob}}},
		"as somebody else, as the administrator": {asMaster(t, s), http.Header{"Impersonate-User": {bob}}},
	} {
		if a := c.wire.send(request{method: http.MethodGet, path: at, headers: c.headers}); a.code != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, a.code, a.body)
		}
	}
	if len(target.seen) != seen {
		t.Errorf("the other server got %d requests of them", len(target.seen)-seen)
	}

	// The provider sees the same at its own endpoint, one consumer at a time.
	apply(t, s.Workspace(path), "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: content}\nrules: [{apiGroups: [apis.kcp.io], resources: [apiexports/content], verbs: ['*']}]\n---\n"+
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: content}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: content}\nsubjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "+alice+"}]")
	endpoint := "/services/apiexport/" + cluster + "/gadgets/clusters/"
	eventually(t, "alice works at the endpoint", func(context.Context) (bool, error) {
		return user.get(endpoint+consumer+"/apis/example.net/v1/gadgets/g").code == http.StatusOK, nil
	})
	want{400, metav1.StatusReasonBadRequest, nil, "one consumer at a time"}.check(t, user.get(endpoint+"*/apis/example.net/v1/gadgets"))
	if a := user.get(endpoint + consumer + "/apis/example.net/v1"); !strings.Contains(string(a.body), `"gadgets"`) {
		t.Errorf("discovery at the endpoint: %d %s", a.code, a.body)
	}
	if a := user.get(endpoint + "*/apis/example.net/v1"); strings.Contains(string(a.body), `"gadgets"`) {
		t.Errorf("discovery for all consumers: %d %s", a.code, a.body)
	}
	if a := user.get(endpoint + "root/apis/example.net/v1/gadgets"); a.code != http.StatusForbidden {
		t.Errorf("a workspace that has not bound it: %d %s", a.code, a.body)
	}

	// A slice that leads to this server, or to a metadata service.
	for _, url := range []string{s.URL() + "/clusters/" + consumerPath, "https://169.254.169.254/latest"} {
		s.Kubectl(path, gadgetSlice(url), "apply", "--server-side", "--force-conflicts", "-f", "-")
		eventually(t, url+" is refused", func(context.Context) (bool, error) {
			a := user.get(at)
			return a.code == http.StatusBadGateway && strings.Contains(string(a.body), "cannot be reached") && !strings.Contains(string(a.body), "169.254"), nil
		})
	}
	// Deleting the binding waits for nothing there.
	s.Kubectl(consumerPath, "", "delete", "apibinding", "gadgets", "--timeout=60s")
}

// A server whose operator allows no requests to others says so.
func TestVirtualStorage_NotEnabled(t *testing.T) {
	s := start(t)
	path, _ := newWorkspace(t, s, "root", uniqueName("provider"))
	_, provider := annex.Clients(t, s.Workspace(path))
	apply(t, s.Workspace(path), gadgetSchema+"---\n"+gadgetSliceDefinition+"---\n"+gadgetExport)
	waitCondition(t, provider.Resource(crds), "gadgetslices.example.net", "Established", "True", "")
	apply(t, s.Workspace(path), gadgetSlice("https://example.com"))
	waitCondition(t, provider.Resource(exports), "gadgets", "VirtualStorageReady", "False", "VirtualStorageNotEnabled")
	consumerPath := workspace(t, s)
	apply(t, s.Workspace(consumerPath), binding("gadgets", path, "gadgets"))
	_, there := annex.Clients(t, s.Workspace(consumerPath))
	waitCondition(t, there.Resource(bindings), "gadgets", "VirtualStorageReady", "False", "VirtualStorageNotEnabled")
	want{503, metav1.StatusReasonServiceUnavailable, nil, "the operator of this one does not allow"}.check(t, asAdmin(t, s).get("/clusters/"+consumerPath+"/apis/example.net/v1/gadgets"))
}
