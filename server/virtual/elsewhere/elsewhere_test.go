package elsewhere

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/util/cert"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/server/outbound"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual/forward"
)

const consumer = logicalcluster.Name("consumer")

var (
	loopback = outbound.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}
	alice    = &user.DefaultInfo{
		Name: "alice", UID: "7", Groups: []string{"devs", "system:authenticated", "system:kcp:admin"},
		Extra: map[string][]string{"example.com/team": {"a"}, "virtual.annex.dev/consumer": {"forged"}, "Virtual.Annex.dev/Export": {"forged"}},
	}
)

// sliceContent has one slice, or none.
type sliceContent struct {
	client.Content
	mu      sync.Mutex
	slice   *unstructured.Unstructured
	watched chan func(client.HeadEvent)
	ended   chan struct{}
}

func (c *sliceContent) KindOf(_ context.Context, cluster logicalcluster.Name, gvk schema.GroupVersionKind) (*client.Kind, error) {
	if cluster != "provider" || gvk != (schema.GroupVersionKind{Group: "example.net", Kind: "GadgetSlice"}) {
		return nil, nil
	}
	return &client.Kind{Resource: schema.GroupResource{Group: "example.net", Resource: "gadgetslices"}, Bucket: client.LocalBucket}, nil
}

func (c *sliceContent) Find(_ context.Context, kind client.Kind, key client.Key, _ bool) (*client.Head, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slice == nil || key.Name != c.slice.GetName() {
		return nil, nil
	}
	return &client.Head{Resource: kind.Resource, Bucket: kind.Bucket, Cluster: key.Cluster, Name: key.Name}, nil
}

func (c *sliceContent) Get(context.Context, client.Head) (client.Object, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.slice, nil
}

func (c *sliceContent) Watch(ctx context.Context, _ client.WatchScope, handle func(client.HeadEvent)) error {
	c.watched <- handle
	<-ctx.Done()
	close(c.ended)
	return nil
}

// house is an Endpoint before a server, and the server of a third party.
type house struct {
	*clienttest.Fake
	endpoint      *Endpoint
	content       *sliceContent
	watches       *serve.Watches
	served        *catalog.Served
	fail          func(http.ResponseWriter, *http.Request, error)
	front, target *httptest.Server
	mu            sync.Mutex
	who           user.Info
	inactive      bool
}

func newHouse(t *testing.T, target http.HandlerFunc, guard outbound.Config) *house {
	t.Helper()
	group := "example.net"
	h := &house{who: alice, watches: serve.NewWatches(), content: &sliceContent{watched: make(chan func(client.HeadEvent), 8), ended: make(chan struct{})}}
	h.target = httptest.NewUnstartedServer(target)
	h.target.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	h.target.StartTLS()
	t.Cleanup(h.target.Close)
	h.lead(h.target.URL + "/base")
	h.Fake = clienttest.NewFake(
		clienttest.In("root", &corev1alpha1.Shard{ObjectMeta: metav1.ObjectMeta{Name: "root"}}),
		clienttest.In("provider", &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "things"}, Spec: apisv1alpha2.APIExportSpec{Resources: []apisv1alpha2.ResourceSchema{{
			Name: "gadgets", Group: group, Storage: apisv1alpha2.ResourceSchemaStorage{Virtual: &apisv1alpha2.ResourceSchemaStorageVirtual{
				Reference: corev1.TypedLocalObjectReference{APIGroup: &group, Kind: "GadgetSlice", Name: "s"},
			}},
		}}}}),
	)
	dir := t.TempDir()
	pair, key, err := cert.GenerateSelfSignedCertKey("annex", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := forward.Credentials{CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key"), CAFile: filepath.Join(dir, "ca")}
	for file, data := range map[string][]byte{c.CertFile: pair, c.KeyFile: key, c.CAFile: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.target.Certificate().Raw})} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	transport, err := forward.NewTransport(c, outbound.New(guard).DialContext)
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	scheme.AddUnversionedTypes(schema.GroupVersion{Version: "v1"}, &metav1.Status{})
	h.endpoint = New(Config{
		Cached: h.Fake, Live: h.Fake, Content: h.content, Changed: h.watches.Recheck,
		Forwarder: &forward.Forwarder{Transport: transport, MaxBodyBytes: 64 << 10, Codecs: serializer.NewCodecFactory(scheme)},
		Itself:    func(ctx context.Context, _ user.Info) bool { return ctx.Value(impersonatesKey{}) == false },
		Inactive:  func(logicalcluster.Name) bool { h.mu.Lock(); defer h.mu.Unlock(); return h.inactive },
	})
	h.fail = h.endpoint.Forwarder.Fail
	h.served = &catalog.Served{Source: catalog.Source{Export: client.Key{Cluster: "provider", Name: "things"}}, Resource: &catalog.Resource{
		Group: group, Plural: "gadgets", Kind: "Gadget", Virtual: true, CRD: &apiextensionsv1.CustomResourceDefinition{
			Spec: apiextensionsv1.CustomResourceDefinitionSpec{Versions: []apiextensionsv1.CustomResourceDefinitionVersion{
				{
					Name: "v1", Served: true, Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
					AdditionalPrinterColumns: []apiextensionsv1.CustomResourceColumnDefinition{{Name: "Size", Type: "integer", JSONPath: ".spec.size"}},
				},
				{Name: "v2"},
			}},
		},
	}}
	h.front = httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(h.front.Close)
	return h
}

// lead makes the slice list these URLs.
func (h *house) lead(urls ...string) {
	endpoints := make([]any, 0, len(urls))
	for _, url := range urls {
		endpoints = append(endpoints, map[string]any{"url": url})
	}
	h.content.mu.Lock()
	defer h.content.mu.Unlock()
	h.content.slice = &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.net/v1", "kind": "GadgetSlice", "metadata": map[string]any{"name": "s"}, "status": map[string]any{"endpoints": endpoints},
	}}
}

// serve answers as the router and the last mile do.
func (h *house) serve(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	who := h.who
	h.mu.Unlock()
	infos := genericapirequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
	info, err := infos.NewRequestInfo(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	impersonates := r.Header.Get("Impersonate-User") != ""
	ctx := genericapirequest.WithUser(context.WithValue(r.Context(), impersonatesKey{}, impersonates), who)
	ctx = genericapirequest.WithRequestInfo(logicalcluster.WithCluster(ctx, consumer), info)
	target, err := h.endpoint.Bound(r, info, consumer, h.served)
	if err != nil {
		h.fail(w, r.WithContext(ctx), err)
		return
	}
	if info.Verb == "watch" {
		var done func()
		ctx, done = h.watches.Hold(ctx, target.While)
		defer done()
	}
	target.Handler.ServeHTTP(w, r.WithContext(ctx))
}

type impersonatesKey struct{}

func (h *house) send(t *testing.T, method, path, body string, headers http.Header) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, h.front.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.URL.Opaque = path
	maps.Copy(req.Header, headers)
	answer, err := (&http.Transport{DisableCompression: true, DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	whole, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(whole)
}

const at = "/apis/example.net/v1/gadgets"

func TestBound_WhatTheOtherServerGets(t *testing.T) {
	var got *http.Request
	h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		_, _ = io.WriteString(w, "answer")
	}, loopback)
	answer, text := h.send(t, http.MethodPatch, at+"/g/status?fieldManager=m", "content", http.Header{
		"Content-Type": {"application/merge-patch+json"}, "Authorization": {"Bearer secret"}, "Cookie": {"a=b"}, "User-Agent": {"kubectl"},
		"X-Remote-User": {"root"}, "X-Remote-Group": {"system:masters"}, "X-Remote-Extra-Virtual.annex.dev%2fconsumer": {"other"}, "X-Remote-Extra-Virtual.annex.dev%2fexport": {"other"},
		"Connection": {"X-Remote-User"}, "X-Forwarded-For": {"10.0.0.1"},
	})
	if answer.StatusCode != http.StatusOK || text != "answer" {
		t.Fatalf("%d %s", answer.StatusCode, text)
	}
	if want := "/base/clusters/consumer/apis/example.net/v1/gadgets/g/status?fieldManager=m"; got.URL.RequestURI() != want || len(got.TLS.PeerCertificates) == 0 {
		t.Errorf("the target got %s with %d certificates, want %s", got.URL.RequestURI(), len(got.TLS.PeerCertificates), want)
	}
	want := http.Header{
		"Content-Type": {"application/merge-patch+json"}, "User-Agent": {"kubectl"}, "Content-Length": {"7"}, forward.HopsHeader: {"1"}, forward.VirtualHopsHeader: {"1"},
		"X-Remote-User": {"alice"}, "X-Remote-Uid": {"7"}, "X-Remote-Group": {"devs", "system:authenticated"}, "X-Remote-Extra-Example.com%2fteam": {"a"},
		"X-Remote-Extra-Virtual.annex.dev%2fconsumer": {"consumer"}, "X-Remote-Extra-Virtual.annex.dev%2fexport": {"things"}, "X-Remote-Extra-Virtual.annex.dev%2fexport-Cluster": {"provider"},
	}
	if !maps.EqualFunc(got.Header, want, slices.Equal) {
		t.Errorf("the target got %v\nwant %v", got.Header, want)
	}
}

func TestBound_Refused(t *testing.T) {
	reached := 0
	h := newHouse(t, func(http.ResponseWriter, *http.Request) { reached++ }, loopback)
	for _, tc := range []struct {
		name, method, path string
		headers            http.Header
		want               int
	}{
		{"a version that is not served", "GET", "/apis/example.net/v2/gadgets", nil, 404},
		{"a version that does not exist", "GET", "/apis/example.net/v3/gadgets", nil, 404},
		{"in a namespace", "GET", "/apis/example.net/v1/namespaces/a/gadgets", nil, 404},
		{"another subresource", "GET", at + "/g/log", nil, 404},
		{"a stream", "GET", at + "/g/exec", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}, 404},
		{"no scale", "GET", at + "/g/scale", nil, 404},
		{"somebody else", "GET", at, http.Header{"Impersonate-User": {"bob"}}, 403},
		{"dots", "GET", at + "/%2e%2e", nil, 400},
		{"too often", "GET", at, http.Header{forward.VirtualHopsHeader: {"4"}}, 508},
		{"too often through mounts", "GET", at, http.Header{forward.HopsHeader: {"4"}}, 508},
		{"an upgrade of what is no stream", "GET", at, http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}, 400},
	} {
		if answer, text := h.send(t, tc.method, tc.path, "", tc.headers); answer.StatusCode != tc.want || reached > 0 {
			t.Errorf("%s: %d %s, reached: %d; want %d", tc.name, answer.StatusCode, text, reached, tc.want)
		}
	}
	for name, who := range map[string]user.Info{
		"a user of the system": &user.DefaultInfo{Name: "system:kube-scheduler", Groups: []string{"system:authenticated"}},
		"a user of an issuer":  &user.DefaultInfo{Name: "alice", Groups: []string{"system:authenticated"}, Extra: map[string][]string{"authentication.kcp.io/scopes": {"cluster:consumer"}}},
		"nobody":               &user.DefaultInfo{Name: "system:anonymous", Groups: []string{"system:unauthenticated"}},
	} {
		h.who = who
		if answer, text := h.send(t, http.MethodGet, at, "", nil); answer.StatusCode != http.StatusForbidden || reached > 0 {
			t.Errorf("%s: %d %s, reached: %d", name, answer.StatusCode, text, reached)
		}
	}
	h.who = alice
	if answer, text := h.send(t, http.MethodPost, at, strings.Repeat("x", 65<<10), nil); answer.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: %d %s", answer.StatusCode, text)
	}
}

func TestBound_Unavailable(t *testing.T) {
	h := newHouse(t, func(http.ResponseWriter, *http.Request) {}, loopback)
	good := h.target.URL + "/base"
	update := func(change func(*apisv1alpha2.APIExport)) func() {
		return func() {
			export, err := client.Find[apisv1alpha2.APIExport](t.Context(), h.Fake, exports, h.served.Source.Export)
			if err != nil {
				t.Fatal(err)
			}
			export = export.DeepCopy()
			change(export)
			if _, err := h.Update(t.Context(), exports, "provider", export); err != nil {
				t.Fatal(err)
			}
		}
	}
	forwarder := h.endpoint.Forwarder
	cached := "cache.kcp.io"
	for _, step := range []struct {
		name string
		do   func()
		code int
		text string
	}{
		{"ready", func() {}, 200, ""},
		{"no endpoint", func() { h.lead() }, 503, "its GadgetSlice: status.endpoints is missing or empty"},
		{"two endpoints", func() { h.lead(good, good+"2") }, 503, "several endpoints"},
		{"no TLS", func() { h.lead("http://example.com") }, 503, "must begin with https"},
		{"nobody there", func() { h.lead("https://127.0.0.1:1") }, 502, "the server that serves gadgets.example.net for its provider cannot be reached"},
		{"another name in the certificate", func() { h.lead(strings.Replace(good, "127.0.0.1", "localhost", 1)) }, 502, "cannot be reached"},
		{"no slice", func() { h.content.slice = nil }, 503, "its GadgetSlice does not exist"},
		{"inactive", func() { h.lead(good); h.inactive = true }, 503, "inactive"},
		{"not allowed", func() { h.inactive, h.endpoint.Forwarder = false, nil }, 503, "the operator of this one does not allow"},
		{"allowed", func() { h.endpoint.Forwarder = forwarder }, 200, ""},
		{"another kind", update(func(e *apisv1alpha2.APIExport) { e.Spec.Resources[0].Storage.Virtual.Reference.Kind = "Other" }), 503, "its Other does not exist"},
		{"a ClusterCachedResource", update(func(e *apisv1alpha2.APIExport) {
			e.Spec.Resources[0].Storage.Virtual.Reference = corev1.TypedLocalObjectReference{APIGroup: &cached, Kind: "ClusterCachedResourceEndpointSlice", Name: "s"}
		}), 503, "does not offer"},
		{"stored", update(func(e *apisv1alpha2.APIExport) { e.Spec.Resources[0].Storage.Virtual = nil }), 503, "does not offer gadgets.example.net"},
		{"no export", func() { h.served.Source.Export.Name = "gone" }, 503, "does not offer"},
	} {
		step.do()
		answer, text := h.send(t, http.MethodGet, at, "", nil)
		if answer.StatusCode != step.code || !strings.Contains(text, step.text) || strings.Contains(text, "127.0.0.1") {
			t.Errorf("%s: %d %s, want %d %s", step.name, answer.StatusCode, text, step.code, step.text)
		}
	}
}

// By default nothing goes to this machine, to metadata services, or to services of the host, whatever the provider writes.
func TestBound_IsGuarded(t *testing.T) {
	h := newHouse(t, func(http.ResponseWriter, *http.Request) { t.Error("reached") }, outbound.Config{})
	port := h.target.Listener.Addr().String()
	port = port[strings.LastIndex(port, ":")+1:]
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "169.254.169.254", "kubernetes.default.svc"} {
		h.lead(fmt.Sprintf("https://%s:%s", host, port))
		if answer, text := h.send(t, http.MethodGet, at, "", nil); answer.StatusCode != http.StatusBadGateway || !strings.Contains(text, "cannot be reached") {
			t.Errorf("%s: %d %s", host, answer.StatusCode, text)
		}
	}
}

// An endpoint that leads back ends.
func TestBound_Cycle(t *testing.T) {
	var h *house
	passes := 0
	h = newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		passes++
		r.URL.Path = strings.TrimPrefix(r.URL.Path, "/base/clusters/consumer")
		h.serve(w, r)
	}, loopback)
	if answer, text := h.send(t, http.MethodGet, at, "", nil); answer.StatusCode != http.StatusLoopDetected || passes != forward.MaxHops {
		t.Errorf("%d %s after %d", answer.StatusCode, text, passes)
	}
}

func TestBound_WhatTheClientGets(t *testing.T) {
	h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "https://evil")
		w.Header().Set("Set-Cookie", "a=b")
		var code int
		_, _ = fmt.Sscanf(r.URL.Path, "/base/clusters/consumer/apis/example.net/v1/gadgets/c%d", &code)
		w.WriteHeader(code)
	}, loopback)
	for code, want := range map[int]int{200: 200, 404: 404, 409: 409, 302: 502, 307: 502, 401: 502} {
		answer, text := h.send(t, http.MethodGet, fmt.Sprintf("%s/c%d", at, code), "", nil)
		if answer.StatusCode != want || answer.Header.Get("Location") != "" || answer.Header.Get("Set-Cookie") != "" {
			t.Errorf("%d becomes %d %s %v, want %d", code, answer.StatusCode, text, answer.Header, want)
		}
	}
}

const asTable = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

func TestBound_Tables(t *testing.T) {
	gadget := `{"apiVersion":"example.net/v1","kind":"Gadget","metadata":{"name":"g","uid":"u"},"spec":{"size":3}}`
	accepted := ""
	h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		accepted = r.Header.Get("Accept")
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Query().Get("watch") != "":
			for _, event := range []string{`{"type":"ADDED","object":` + gadget + `}`, `{"type":"MODIFIED","object":` + gadget + "}\n", `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","code":410}}`} {
				_, _ = io.WriteString(w, event)
			}
		case strings.HasSuffix(r.URL.Path, "/missing"):
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","code":404}`)
		case strings.HasSuffix(r.URL.Path, "/large"):
			_, _ = io.WriteString(w, `"`+strings.Repeat("x", maxTableBytes)+`"`)
		case strings.HasSuffix(r.URL.Path, "/odd"):
			_, _ = io.WriteString(w, `[1]`)
		case strings.HasSuffix(r.URL.Path, "/g"):
			_, _ = io.WriteString(w, gadget)
		default:
			_, _ = io.WriteString(w, `{"apiVersion":"example.net/v1","kind":"GadgetList","metadata":{"resourceVersion":"5","continue":"x"},"items":[`+gadget+`]}`)
		}
	}, loopback)
	table := func(text string) metav1.Table {
		t.Helper()
		var table metav1.Table
		if err := json.Unmarshal([]byte(text), &table); err != nil || table.Kind != "Table" || table.APIVersion != "meta.k8s.io/v1" {
			t.Fatalf("%s: %v", text, err)
		}
		return table
	}
	accept := http.Header{"Accept": {asTable}, "Accept-Encoding": {"gzip"}}
	for _, path := range []string{at, at + "/g"} {
		answer, text := h.send(t, http.MethodGet, path, "", accept)
		got := table(text)
		if len(got.ColumnDefinitions) != 2 || got.ColumnDefinitions[1].Name != "Size" || len(got.Rows) != 1 || fmt.Sprint(got.Rows[0].Cells) != "[g 3]" {
			t.Errorf("%s: %d %s", path, answer.StatusCode, text)
		}
		if object := string(got.Rows[0].Object.Raw); !strings.Contains(object, "PartialObjectMetadata") || strings.Contains(object, "size") || accepted != "application/json" {
			t.Errorf("%s: the row has %s; the other server was asked for %s", path, object, accepted)
		}
	}
	if _, text := h.send(t, http.MethodGet, at+"?includeObject=Object", "", accept); !strings.Contains(text, `"size":3`) || !strings.Contains(text, `"continue":"x"`) {
		t.Error(text)
	}
	if _, text := h.send(t, http.MethodGet, at+"?includeObject=None", "", accept); strings.Contains(text, `"uid"`) {
		t.Error(text)
	}
	answer, text := h.send(t, http.MethodGet, at+"?watch=true", "", accept)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "columnDefinitions\":[{") || strings.Contains(lines[1], "columnDefinitions\":[{") || !strings.Contains(lines[1], `"cells":["g",3]`) || !strings.Contains(lines[2], `"code":410`) {
		t.Errorf("%d %s", answer.StatusCode, text)
	}
	for path, want := range map[string]int{"/missing": 404, "/large": 413, "/odd": 502} {
		if answer, text := h.send(t, http.MethodGet, at+path, "", accept); answer.StatusCode != want {
			t.Errorf("%s: %d %.100s", path, answer.StatusCode, text)
		}
	}
	if _, text := h.send(t, http.MethodGet, at+"/g", "", http.Header{"Accept": {"application/json"}}); text != gadget {
		t.Errorf("without a table: %s", text)
	}
}

// A watch ends when the slice leads elsewhere, and slices are followed only while one is open.
func TestBound_Watches(t *testing.T) {
	h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}, loopback)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.front.URL+at+"?watch=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	lines := bufio.NewReader(answer.Body)
	if line, err := lines.ReadString('\n'); line != "first\n" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	handle := <-h.content.watched
	handle(client.HeadEvent{Type: client.Modified, Head: client.Head{Cluster: "provider", Name: "s"}}) // to the same server
	h.lead(h.target.URL + "/other")
	handle(client.HeadEvent{Type: client.Modified, Head: client.Head{Cluster: "provider", Name: "s"}})
	if line, err := lines.ReadString('\n'); err == nil {
		t.Errorf("the watch goes on with %q", line)
	}
	<-h.content.ended
	if len(h.endpoint.followed.by) > 0 {
		t.Errorf("%v is still followed", h.endpoint.followed.by)
	}
}
