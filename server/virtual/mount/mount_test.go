package mount

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/util/cert"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/server/outbound"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
	"github.com/annex-dev/annex/server/virtual/forward"
)

const bodyLimit = 64 << 10

// house is the virtual workspace behind a server, and a target.
type house struct {
	*clienttest.Fake
	endpoint *Endpoint
	// front serves requests of who to the mount root:m.
	front, target *httptest.Server
	mu            sync.Mutex
	who           user.Info
	inactive      bool
}

var alice = &user.DefaultInfo{
	Name: "alice", UID: "7", Groups: []string{"devs", "system:authenticated", "system:kcp:admin", "system:cluster:x"},
	Extra: map[string][]string{"example.com/team": {"a", "b"}, "authentication.kcp.io/other": {"x"}},
}

func newHouse(t *testing.T, target http.HandlerFunc, guard outbound.Config) *house {
	t.Helper()
	h := &house{who: alice}
	h.target = httptest.NewUnstartedServer(target)
	h.target.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	h.target.StartTLS()
	t.Cleanup(h.target.Close)
	h.Fake = clienttest.NewFake(clienttest.In("parent", &tenancyv1alpha1.Workspace{
		ObjectMeta: metav1.ObjectMeta{Name: "m"},
		Spec:       tenancyv1alpha1.WorkspaceSpec{URL: h.target.URL + "/base/", Mount: &tenancyv1alpha1.Mount{}},
		Status:     tenancyv1alpha1.WorkspaceStatus{Phase: corev1alpha1.LogicalClusterPhaseReady},
	}))
	transport, err := forward.NewTransport(newCredentials(t, h.target), outbound.New(guard).DialContext)
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	v1 := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(scheme, v1)
	scheme.AddUnversionedTypes(v1, &metav1.Status{})
	codecs := serializer.NewCodecFactory(scheme)
	h.endpoint = New(Config{
		Cached: h.Fake, Live: h.Fake, Watches: serve.NewWatches(),
		Forwarder: &forward.Forwarder{Transport: transport, MaxBodyBytes: bodyLimit, Codecs: codecs}, Codecs: codecs,
		Inactive: func(logicalcluster.Name) bool { h.mu.Lock(); defer h.mu.Unlock(); return h.inactive },
	})
	h.front = httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(h.front.Close)
	return h
}

// serve answers as the chain before the virtual workspace has it do.
func (h *house) serve(w http.ResponseWriter, r *http.Request) {
	infos := genericapirequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
	info, err := infos.NewRequestInfo(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h.mu.Lock()
	ctx := genericapirequest.WithUser(logicalcluster.WithCluster(r.Context(), "parent"), h.who)
	h.mu.Unlock()
	ctx = virtual.WithEndpoint(ctx, virtual.Endpoint{Kind: Name, Cluster: "parent", Name: "m", Direct: true, Workspace: true})
	w.Header().Set("Audit-Id", "set-before")
	h.endpoint.Forward(w, r.WithContext(genericapirequest.WithRequestInfo(ctx, info)), info)
}

func (h *house) change(t *testing.T, change func(ws *tenancyv1alpha1.Workspace)) {
	t.Helper()
	key := client.Key{Cluster: "parent", Name: "m"}
	ws, err := client.Find[tenancyv1alpha1.Workspace](t.Context(), h.Fake, workspaces, key)
	if err != nil {
		t.Fatal(err)
	}
	ws = ws.DeepCopy()
	change(ws)
	if _, err := h.Update(t.Context(), workspaces, "parent", ws); err != nil {
		t.Fatal(err)
	}
	h.endpoint.Watches.Recheck("parent")
}

// send sends a request, and returns the answer with its body.
func (h *house) send(t *testing.T, method, path, body string, headers http.Header) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, h.front.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.URL.Opaque = path // as it is
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

var (
	generated  sync.Once
	pair, priv []byte
)

// clientCertificate returns a certificate and its key. All tests use the same, since it takes long to make.
func clientCertificate(t *testing.T) (certificate, key []byte) {
	t.Helper()
	var err error
	generated.Do(func() { pair, priv, err = cert.GenerateSelfSignedCertKey("mounts", nil, nil) })
	if err != nil {
		t.Fatal(err)
	}
	return pair, priv
}

// newCredentials writes a client certificate, and the certificate of a server as the authority.
func newCredentials(t *testing.T, of *httptest.Server) forward.Credentials {
	t.Helper()
	dir := t.TempDir()
	pair, key := clientCertificate(t)
	c := forward.Credentials{CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key"), CAFile: filepath.Join(dir, "ca")}
	for file, data := range map[string][]byte{
		c.CertFile: pair, c.KeyFile: key, c.CAFile: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: of.Certificate().Raw}),
	} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

var loopback = outbound.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}

func TestForward_WhatTheTargetGets(t *testing.T) {
	var got *http.Request
	var body []byte
	h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, "answer")
	}, loopback)
	answer, text := h.send(t, http.MethodPost, "/apis/example.com/v1/namespaces/a%2Fb//widgets?fieldManager=m&x=%2e", "content", http.Header{
		"Accept": {"application/json"}, "Content-Type": {"application/yaml"}, "User-Agent": {"kubectl"}, "If-Match": {"x"},
		"Authorization": {"Bearer secret"}, "Proxy-Authorization": {"Basic x"}, "Cookie": {"a=b"}, "Impersonate-User": {"root"}, "Impersonate-Extra-Scopes": {"x"},
		"X-Remote-User": {"root"}, "x-remote-group": {"system:masters"}, "X-Remote-Extra-Scopes": {"cluster:root"}, "X_remote_user": {"root"}, "X-Remote-Uid": {"0"},
		"X-Forwarded-For": {"10.0.0.1"}, "X-Forwarded-Host": {"evil"}, "Forwarded": {"for=x"}, "Via": {"x"}, "X-Real-Ip": {"10.0.0.1"}, "Traceparent": {"00-x"},
		// Headers that a proxy on the way should drop: those of the identity are not among them.
		"Connection": {"X-Remote-User, X-Remote-Group, Accept"}, "Te": {"trailers"}, "Trailer": {"X-Remote-User"}, "Keep-Alive": {"x"},
		"X-Kcp-Anything": {"x"}, "Origin": {"https://evil"}, "Referer": {"https://host/secret"},
	})
	if answer.StatusCode != http.StatusOK || text != "answer" || string(body) != "content" {
		t.Fatalf("%d %s; the target got %q", answer.StatusCode, text, body)
	}
	if want := "/base/apis/example.com/v1/namespaces/a%2Fb//widgets?fieldManager=m&x=%2e"; got.URL.RequestURI() != want || got.Host != h.target.Listener.Addr().String() {
		t.Errorf("the target got %s at %s, want %s", got.URL.RequestURI(), got.Host, want)
	}
	if len(got.TLS.PeerCertificates) == 0 || len(got.Trailer) > 0 {
		t.Errorf("certificates: %d, trailers: %v", len(got.TLS.PeerCertificates), got.Trailer)
	}
	want := http.Header{
		"Content-Type": {"application/yaml"}, "User-Agent": {"kubectl"}, "If-Match": {"x"}, "Content-Length": {"7"}, forward.HopsHeader: {"1"}, forward.VirtualHopsHeader: {"1"},
		"X-Remote-User": {"alice"}, "X-Remote-Uid": {"7"}, "X-Remote-Group": {"devs", "system:authenticated"}, "X-Remote-Extra-Example.com%2fteam": {"a", "b"},
	}
	if !maps.EqualFunc(got.Header, want, slices.Equal) {
		t.Errorf("the target got %v\nwant %v", got.Header, want)
	}
}

func TestForward_Refused(t *testing.T) {
	reached := 0
	h := newHouse(t, func(http.ResponseWriter, *http.Request) { reached++ }, loopback)
	for _, tc := range []struct {
		name, method, path string
		headers            http.Header
		want               int
	}{
		{"dots", "GET", "/api/../../secret", nil, 400},
		{"escaped dots", "GET", "/api/%2e%2E/%2e./secret", nil, 400},
		{"a dot", "GET", "/api/./v1", nil, 400},
		{"dots behind an escaped slash", "GET", "/api%2F..%2Fsecret", nil, 400},
		{"a backslash", "GET", `/api/..%5c..%5csecret`, nil, 400},
		{"dots at the end", "GET", "/api/..", nil, 400},
		{"another method", "TRACE", "/api", nil, 405},
		{"a method of nobody", "BREW", "/api", nil, 405},
		{"an upgrade of what is no stream", "GET", "/api/v1/namespaces", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}, 400},
		{"too many mounts", "GET", "/api", http.Header{forward.HopsHeader: {"4"}}, 508},
		{"hops that are no number", "GET", "/api", http.Header{forward.HopsHeader: {"x"}}, 400},
		{"negative hops", "GET", "/api", http.Header{forward.HopsHeader: {"-1"}}, 400},
		{"too often through virtual storage", "GET", "/api", http.Header{forward.VirtualHopsHeader: {"4"}}, 508},
		{"hops twice", "GET", "/api", http.Header{forward.HopsHeader: {"0", "0"}}, 400},
		{"a large body", "POST", "/api/v1/namespaces", nil, 413},
	} {
		body := ""
		if tc.want == http.StatusRequestEntityTooLarge {
			body = strings.Repeat("x", bodyLimit+1)
		}
		before := reached
		answer, text := h.send(t, tc.method, tc.path, body, tc.headers)
		if answer.StatusCode != tc.want || reached != before && tc.want != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d %s, reached: %t; want %d", tc.name, answer.StatusCode, text, reached != before, tc.want)
		}
	}
	for _, path := range []string{"/", "/api/v1/...", "/a..b", "//evil.example.com/x"} {
		if answer, text := h.send(t, http.MethodGet, path, "", nil); answer.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", path, answer.StatusCode, text)
		}
	}
}

func TestForward_WhatTheClientGets(t *testing.T) {
	h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</x>")
		w.Header().Set("Set-Cookie", "early=1")
		w.WriteHeader(http.StatusEarlyHints)
		for name, value := range map[string]string{
			"Set-Cookie": "a=b", "Www-Authenticate": "Basic", "Location": "https://evil", "Access-Control-Allow-Origin": "*", "Strict-Transport-Security": "max-age=1",
			"X-Remote-User": "root", "Audit-Id": "forged", "Cache-Control": "public, max-age=1000", "Expires": "Thu, 01 Jan 2099 00:00:00 GMT", "Etag": "e", "Content-Type": "text/html", "Trailer": "X-Late", "Warning": `299 - "w"`, "Server": "s",
		} {
			w.Header().Set(name, value)
		}
		var code int
		_, _ = fmt.Sscanf(r.URL.Path, "/base/%d", &code)
		w.WriteHeader(code)
		if code != http.StatusNotModified {
			_, _ = io.WriteString(w, "text")
		}
		w.Header().Set("X-Late", "late")
	}, loopback)
	for code, want := range map[int]int{200: 200, 201: 201, 304: 304, 403: 403, 404: 404, 409: 409, 500: 500, 301: 502, 302: 502, 307: 502, 308: 502, 300: 502, 401: 502} {
		answer, text := h.send(t, http.MethodGet, fmt.Sprintf("/%d", code), "", nil)
		if answer.StatusCode != want {
			t.Errorf("%d becomes %d %s, want %d", code, answer.StatusCode, text, want)
		}
		allowed := http.Header{
			"Audit-Id": {"set-before"}, "Etag": {"e"}, "Content-Type": {"text/html"}, "Warning": {`299 - "w"`}, "Date": answer.Header["Date"],
			"X-Content-Type-Options": {"nosniff"}, "Content-Security-Policy": {"sandbox"}, "Connection": {"close"}, "Content-Length": {"4"},
		}
		if want == http.StatusBadGateway {
			allowed = http.Header{"Audit-Id": {"set-before"}, "Content-Type": {"application/json"}, "Date": answer.Header["Date"], "Cache-Control": answer.Header["Cache-Control"],
				"Content-Length": answer.Header["Content-Length"], "Connection": {"close"}}
		}
		for name, values := range answer.Header {
			if !slices.Equal(allowed[name], values) {
				t.Errorf("%d shows %s: %q", code, name, values)
			}
		}
		if len(answer.Trailer) > 0 || answer.Header.Get("Audit-Id") != "set-before" {
			t.Errorf("%d: trailers %v, headers %v", code, answer.Trailer, answer.Header)
		}
	}
}

func TestForward_Unavailable(t *testing.T) {
	h := newHouse(t, func(http.ResponseWriter, *http.Request) {}, loopback)
	address := h.target.URL
	for _, tc := range []struct {
		name   string
		change func(ws *tenancyv1alpha1.Workspace)
		code   int
		text   string
	}{
		{"ready", func(*tenancyv1alpha1.Workspace) {}, 200, ""},
		{"unavailable", func(ws *tenancyv1alpha1.Workspace) { ws.Status.Phase = corev1alpha1.LogicalClusterPhaseUnavailable }, 503, "Not available."},
		{"scheduling", func(ws *tenancyv1alpha1.Workspace) { ws.Status.Phase = corev1alpha1.LogicalClusterPhaseScheduling }, 503, "Not available."},
		{"no URL", func(ws *tenancyv1alpha1.Workspace) {
			ws.Status.Phase, ws.Spec.URL = corev1alpha1.LogicalClusterPhaseReady, ""
		}, 503, "Not available."},
		{"no TLS", func(ws *tenancyv1alpha1.Workspace) { ws.Spec.URL = strings.Replace(address, "https", "http", 1) }, 503, "Not available."},
		{"dots", func(ws *tenancyv1alpha1.Workspace) { ws.Spec.URL = address + "/../x" }, 503, "Not available."},
		{"nobody there", func(ws *tenancyv1alpha1.Workspace) { ws.Spec.URL = "https://127.0.0.1:1" }, 502, "cannot be reached"},
		{"another name in the certificate", func(ws *tenancyv1alpha1.Workspace) {
			ws.Spec.URL = strings.Replace(address, "127.0.0.1", "localhost", 1)
		}, 502, "cannot be reached"},
		{"no mount", func(ws *tenancyv1alpha1.Workspace) { ws.Spec.URL, ws.Spec.Mount = address, nil }, 404, ""},
		{"no mount, and no logical cluster", func(ws *tenancyv1alpha1.Workspace) { ws.Status.Phase = corev1alpha1.LogicalClusterPhaseUnavailable }, 503, "Not available."},
	} {
		h.change(t, tc.change)
		if answer, text := h.send(t, http.MethodGet, "/api", "", nil); answer.StatusCode != tc.code || !strings.Contains(text, tc.text) || strings.Contains(text, "127.0.0.1") {
			t.Errorf("%s: %d %s, want %d %s", tc.name, answer.StatusCode, text, tc.code, tc.text)
		}
	}
}

// By default nothing goes to this machine, and the answer does not say what is there.
func TestForward_IsGuarded(t *testing.T) {
	h := newHouse(t, func(http.ResponseWriter, *http.Request) { t.Error("reached") }, outbound.Config{})
	port := h.target.Listener.Addr().(*net.TCPAddr).Port
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "0.0.0.0", "kubernetes.default.svc", "annex"} {
		h.change(t, func(ws *tenancyv1alpha1.Workspace) { ws.Spec.URL = fmt.Sprintf("https://%s:%d", host, port) })
		if answer, text := h.send(t, http.MethodGet, "/api", "", nil); answer.StatusCode != http.StatusBadGateway || !strings.Contains(text, "the mounted server cannot be reached") {
			t.Errorf("%s: %d %s", host, answer.StatusCode, text)
		}
	}
}

// A mount that leads to itself, or to one that leads back, ends.
func TestForward_Cycle(t *testing.T) {
	var h *house
	passes := 0
	h = newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		passes++
		h.serve(w, r)
	}, loopback)
	if answer, text := h.send(t, http.MethodGet, "/api", "", nil); answer.StatusCode != http.StatusLoopDetected || passes != forward.MaxHops {
		t.Errorf("%d %s after %d", answer.StatusCode, text, passes)
	}
}

func TestForward_Watch(t *testing.T) {
	h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}, loopback)
	for name, end := range map[string]func(){
		"not ready": func() {
			h.change(t, func(ws *tenancyv1alpha1.Workspace) { ws.Status.Phase = corev1alpha1.LogicalClusterPhaseUnavailable })
		},
		"another URL": func() { h.change(t, func(ws *tenancyv1alpha1.Workspace) { ws.Spec.URL += "x" }) },
		"switched off": func() {
			h.mu.Lock()
			h.inactive = !h.inactive
			h.mu.Unlock()
			h.endpoint.Watches.Recheck("parent")
		},
	} {
		h.change(t, func(ws *tenancyv1alpha1.Workspace) {
			ws.Status.Phase, ws.Spec.URL = corev1alpha1.LogicalClusterPhaseReady, h.target.URL
		})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.front.URL+"/api/v1/configmaps?watch=true", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(answer.Body)
		if line, err := lines.ReadString('\n'); line != "first\n" || err != nil {
			t.Fatalf("%s: %q, %v", name, line, err)
		}
		end()
		if line, err := lines.ReadString('\n'); err == nil {
			t.Errorf("%s: the watch goes on with %q", name, line)
		}
		_ = answer.Body.Close()
	}
}

// kubectl exec and its like: bytes go both ways, and the token that a browser sends as a protocol stays here.
func TestForward_Upgrade(t *testing.T) {
	var offered []string
	h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		offered = r.Header["Sec-Websocket-Protocol"]
		conn, lines, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\nSet-Cookie: a=b\r\n\r\n")
		line, _ := lines.ReadString('\n')
		_, _ = io.WriteString(conn, "echo "+line)
		_, _ = lines.ReadString('\n') // until it ends
	}, loopback)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, err = io.WriteString(conn, "GET /api/v1/namespaces/a/pods/p/exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, X-Remote-User\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.c2VjcmV0, v5.channel.k8s.io\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(conn)
	answer, err := http.ReadResponse(lines, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Set-Cookie") != "" || answer.Header.Get("Sec-Websocket-Protocol") != "v5.channel.k8s.io" {
		t.Fatalf("%d %v", answer.StatusCode, answer.Header)
	}
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := lines.ReadString('\n'); line != "echo hello\n" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	if !slices.Equal(offered, []string{"v5.channel.k8s.io"}) {
		t.Errorf("the target was offered %q", offered)
	}
	h.change(t, func(ws *tenancyv1alpha1.Workspace) { ws.Status.Phase = corev1alpha1.LogicalClusterPhaseUnavailable })
	if line, err := lines.ReadString('\n'); err == nil {
		t.Errorf("the stream goes on with %q", line)
	}
}

// Who is refused reaches nothing.
func TestForward_WhoIsRefused(t *testing.T) {
	h := newHouse(t, func(http.ResponseWriter, *http.Request) { t.Error("reached") }, loopback)
	h.who = &user.DefaultInfo{Name: "system:serviceaccount:a:b", Groups: []string{"system:serviceaccounts", "system:authenticated"}}
	if answer, text := h.send(t, http.MethodGet, "/api", "", nil); answer.StatusCode != http.StatusForbidden {
		t.Errorf("who is refused gets %d %s", answer.StatusCode, text)
	}
}

// rights are who may get which Workspace where.
type rights []string

func (r rights) InCluster(ctx context.Context, cluster logicalcluster.Name, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if _, ok := virtual.FromContext(ctx); ok {
		return authorizer.DecisionDeny, "", errors.New("it is asked about an endpoint")
	}
	if slices.Contains(r, strings.Join([]string{a.GetUser().GetName(), a.GetVerb(), a.GetResource() + "." + a.GetAPIGroup(), a.GetName(), cluster.String()}, " ")) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func TestAuthorize(t *testing.T) {
	e := New(Config{Policy: rights{"alice get workspaces.tenancy.kcp.io m parent"}})
	at := func(cluster logicalcluster.Name, endpoint virtual.Endpoint) context.Context {
		return virtual.WithEndpoint(logicalcluster.WithCluster(t.Context(), cluster), endpoint)
	}
	m := virtual.Endpoint{Kind: Name, Cluster: "parent", Name: "m"}
	for name, tc := range map[string]struct {
		ctx  context.Context
		who  user.Info
		want authorizer.Decision
	}{
		"alice":           {at("parent", m), alice, authorizer.DecisionAllow},
		"bob":             {at("parent", m), &user.DefaultInfo{Name: "bob"}, authorizer.DecisionDeny},
		"nobody":          {at("parent", m), nil, authorizer.DecisionDeny},
		"another mount":   {at("parent", virtual.Endpoint{Kind: Name, Cluster: "parent", Name: "n"}), alice, authorizer.DecisionDeny},
		"another cluster": {at("other", m), alice, authorizer.DecisionDeny},
		"another kind":    {at("parent", virtual.Endpoint{Kind: "apiexport", Cluster: "parent", Name: "m"}), alice, authorizer.DecisionDeny},
		"no endpoint":     {logicalcluster.WithCluster(t.Context(), "parent"), alice, authorizer.DecisionDeny},
	} {
		got, _, err := e.Authorize(tc.ctx, authorizer.AttributesRecord{User: tc.who, Verb: "delete", Resource: "secrets", ResourceRequest: true})
		if got != tc.want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := e.Parse("parent/m"); err == nil {
		t.Error("a mount has a URL below /services/")
	}
}
