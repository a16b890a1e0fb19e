package integration

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"

	"github.com/annex-dev/annex/test/framework/annex"
)

// elsewhere is a server that workspaces are mounted on. It is a workspace of another server, whose users are those in the headers of requests.
type elsewhere struct {
	*httptest.Server
	mu   sync.Mutex
	seen []http.Header
}

// newElsewhere returns one that leads to the workspace at path of s, where everybody is an administrator.
func newElsewhere(t *testing.T, s *annex.Server, path string) *elsewhere {
	t.Helper()
	config := s.Workspace(path)
	to, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	e := &elsewhere{}
	proxy := &httputil.ReverseProxy{Transport: transport, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.URL.Path = "/clusters/" + path + strings.TrimPrefix(r.In.URL.Path, "/base")
	}}
	e.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		e.seen = append(e.seen, r.Header.Clone())
		e.mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	e.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	e.StartTLS()
	t.Cleanup(e.Close)
	return e
}

// last returns the headers of the last request.
func (e *elsewhere) last() http.Header {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.seen) == 0 {
		return nil
	}
	return e.seen[len(e.seen)-1]
}

// startMounting returns a server on which workspaces may be mounted on e.
func startMounting(t *testing.T, e *elsewhere, args ...string) *annex.Server {
	t.Helper()
	dir := t.TempDir()
	pair, key, err := cert.GenerateSelfSignedCertKey("mounts", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		"cert": pair, "key": key, "ca": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.Certificate().Raw}), "tokens": []byte(tokens),
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return annex.Start(t, append([]string{
		"--token-auth-file", filepath.Join(dir, "tokens"), "--mount-proxy-client-cert-file", filepath.Join(dir, "cert"),
		"--mount-proxy-client-key-file", filepath.Join(dir, "key"), "--mount-proxy-ca-file", filepath.Join(dir, "ca"),
	}, args...)...)
}

const remoteCRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: remotes.example.net}
spec:
  group: example.net
  scope: Cluster
  names: {plural: remotes, singular: remote, kind: Remote, listKind: RemoteList}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`

const mountedWorkspace = `
apiVersion: tenancy.kcp.io/v1alpha1
kind: Workspace
metadata: {name: %s}
spec: {mount: {ref: {apiVersion: example.net/v1, kind: Remote, name: %s}}}
`

func remoteOf(name, phase, address string) string {
	return fmt.Sprintf("apiVersion: example.net/v1\nkind: Remote\nmetadata: {name: %s, annotations: {experimental.tenancy.kcp.io/is-mount: 'true'}}\nstatus: {phase: %s, URL: %q}\n", name, phase, address)
}

// A mounted workspace follows its object, and is used like any other: by kubectl, by watches, by ServiceAccounts.
func TestMounts(t *testing.T) {
	far := start(t)
	behind, _ := newWorkspace(t, far, "root", uniqueName("behind"))
	target := newElsewhere(t, far, behind)
	s := startMounting(t, target, "--webhook-allow-cidr", "127.0.0.0/8")
	path, cluster := newWorkspace(t, s, "root", "org")
	admit(t, s, path, alice)
	apply(t, s.Workspace(path), remoteCRD)
	typed, untyped := annex.Clients(t, s.Workspace(path))
	waitCondition(t, untyped.Resource(crds), "remotes.example.net", "Established", "True", "")
	apply(t, s.Workspace(path), fmt.Sprintf(mountedWorkspace, "m", "far"))
	waitCondition(t, untyped.Resource(workspaces), "m", "WorkspaceMountReady", "False", "MountObjectNotFound")
	mounted := path + ":m"
	user := as(t, s, alice)
	get := func(at string) answer { return user.get("/clusters/" + mounted + at) }
	want{503, metav1.StatusReasonServiceUnavailable, nil, "Not available."}.check(t, get("/api/v1/namespaces"))

	say := func(phase string) {
		s.Kubectl(path, remoteOf("far", phase, target.URL+"/base"), "apply", "--server-side", "-f", "-")
	}
	say("Connecting")
	waitCondition(t, untyped.Resource(workspaces), "m", "WorkspaceMountReady", "False", "MountObjectNotReady")
	began := time.Now()
	say("Ready")
	waitCondition(t, untyped.Resource(workspaces), "m", "WorkspaceMountReady", "True", "")
	t.Logf("Ready after %s", time.Since(began))
	if out := s.Kubectl(path, "", "get", "workspaces", "m"); !strings.Contains(out, "Ready") || !strings.Contains(out, target.URL+"/base") {
		t.Errorf("the table shows %s", out)
	}

	// It is the other server's workspace.
	s.Kubectl(mounted, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: default}\ndata: {a: b}", "apply", "--server-side", "-f", "-")
	if out := far.Kubectl(behind, "", "get", "configmap", "c", "-o", "jsonpath={.data.a}"); out != "b" {
		t.Errorf("on the other server it is %q", out)
	}
	if out := s.Kubectl(cluster+":m", "", "get", "configmaps", "-n", "default"); !strings.Contains(out, "c ") {
		t.Errorf("by the name of its cluster: %s", out)
	}
	if code := get("/readyz").code; code != http.StatusOK {
		t.Errorf("health: %d", code)
	}
	// Alice is alice there, and her token stays here.
	if a := get("/api/v1/namespaces/default/configmaps/c"); a.code != http.StatusOK {
		t.Errorf("%d %s", a.code, a.body)
	}
	got := target.last()
	if got.Get("X-Remote-User") != alice || !slices.Equal(got["X-Remote-Group"], []string{"devs", "system:authenticated"}) || got.Get("Authorization") != "" {
		t.Errorf("the target got %v", got)
	}
	issued, err := typed.CoreV1().ServiceAccounts("default").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(issued.Items) == 0 {
		t.Fatalf("%v, %v", issued, err)
	}
	apply(t, s.Workspace(path), "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: sa}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\nsubjects: [{kind: ServiceAccount, name: default, namespace: default}]")
	account := newWire(t, s, s.As(tokenOf(t, typed, "default"), path))
	if a := account.get("/clusters/" + mounted + "/api"); a.code != http.StatusOK || target.last().Get("X-Remote-User") != "system:kcp:serviceaccount:"+cluster+":default:default" {
		t.Errorf("a ServiceAccount: %d %s, as %q", a.code, a.body, target.last().Get("X-Remote-User"))
	}

	// A watch shows what happens, and ends when the object is not ready any more.
	there, _ := annex.Clients(t, s.As(token(alice), mounted))
	open, err := there.CoreV1().ConfigMaps("default").Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Stop()
	far.Kubectl(behind, "", "create", "configmap", "new")
	for event := range open.ResultChan() {
		if named, ok := event.Object.(metav1.Object); ok && named.GetName() == "new" {
			break
		}
	}
	say("Lost")
	for range open.ResultChan() { // until it ends
		continue
	}
	eventually(t, "the workspace is unavailable", func(context.Context) (bool, error) { return get("/api").code == http.StatusServiceUnavailable, nil })

	// Nothing waits for its deletion, nor for that of the workspace around it.
	s.Kubectl(path, "", "delete", "workspace", "m", "--timeout=60s")
	want{403, metav1.StatusReasonForbidden, nil, "does not exist, or you may not enter it"}.check(t, get("/api/v1/namespaces"))
	apply(t, s.Workspace(path), fmt.Sprintf(mountedWorkspace, "again", "far"))
	s.Kubectl("root", "", "delete", "workspace", "org", "--timeout=60s")
}

// What a mount must not open.
func TestMounts_Boundaries(t *testing.T) {
	far := start(t)
	behind, _ := newWorkspace(t, far, "root", uniqueName("behind"))
	target := newElsewhere(t, far, behind)
	s := startMounting(t, target) // no network is allowed in addition
	path, _ := newWorkspace(t, s, "root", "org")
	admit(t, s, path, alice)
	apply(t, s.Workspace(path), remoteCRD)
	_, untyped := annex.Clients(t, s.Workspace(path))
	waitCondition(t, untyped.Resource(crds), "remotes.example.net", "Established", "True", "")
	for name, address := range map[string]string{"far": target.URL, "own": s.URL() + "/clusters/root", "metadata": "https://169.254.169.254/latest"} {
		apply(t, s.Workspace(path), remoteOf(name, "Ready", address))
		apply(t, s.Workspace(path), fmt.Sprintf(mountedWorkspace, name, name))
		waitCondition(t, untyped.Resource(workspaces), name, "WorkspaceMountReady", "True", "")
		a := as(t, s, alice).get("/clusters/" + path + ":" + name + "/api")
		want{502, metav1.StatusReasonServiceUnavailable, nil, "the mounted server cannot be reached"}.check(t, a)
	}
	// Whoever may not get the Workspace learns as much as where there is none, also by discovery.
	for _, at := range []string{"/api/v1/namespaces", "/api", "/apis", "/version"} {
		refused, missing := as(t, s, bob).get("/clusters/"+path+":far"+at), as(t, s, bob).get("/clusters/"+path+":nil"+at)
		if text := strings.ReplaceAll(string(refused.body), ":far", ":nil"); refused.code != http.StatusForbidden && at != "/api" && at != "/apis" || refused.code != missing.code || text != string(missing.body) {
			t.Errorf("%s: %d %s, and where there is nothing %d %s", at, refused.code, refused.body, missing.code, missing.body)
		}
	}
	user, master := as(t, s, alice), asMaster(t, s)
	forbidden := want{403, metav1.StatusReasonForbidden, nil, ""}
	for name, a := range map[string]answer{
		"below a mount":                          user.get("/clusters/" + path + ":far:below/api/v1/namespaces"),
		"anonymously":                            as(t, s, "").get("/clusters/" + path + ":far/api/v1/namespaces"),
		"as somebody else":                       user.send(request{method: http.MethodGet, path: "/clusters/" + path + ":far/api/v1/namespaces", headers: http.Header{"Impersonate-User": {bob}}}),
		"as somebody else, as an administrator":  asAdmin(t, s).send(request{method: http.MethodGet, path: "/clusters/" + path + ":far/api/v1/namespaces", headers: http.Header{"Impersonate-User": {bob}}}),
		"as somebody else, as the administrator": master.send(request{method: http.MethodGet, path: "/clusters/" + path + ":far/api/v1/namespaces", headers: http.Header{"Impersonate-User": {bob}}}),
	} {
		if a.code != forbidden.code {
			t.Errorf("%s: %d %s", name, a.code, a.body)
		}
	}
	if code := user.get("/services/mount/" + path + "/far/api").code; code != http.StatusNotFound {
		t.Errorf("below /services/: %d", code)
	}
	at := "/clusters/" + path + "/apis/tenancy.kcp.io/v1alpha1/workspaces"
	merge := http.Header{"Content-Type": {"application/merge-patch+json"}}
	for name, c := range map[string]struct {
		request request
		want    want
	}{
		"a URL of one's own":   {request{method: http.MethodPost, path: at, body: toJSON(t, strings.Replace(fmt.Sprintf(mountedWorkspace, "x", "far"), "spec: {", "spec: {URL: 'https://evil', ", 1))}, want{403, metav1.StatusReasonForbidden, nil, "spec.URL"}},
		"another URL":          {request{method: http.MethodPatch, path: at + "/far", body: `{"spec":{"URL":"https://evil"}}`, headers: merge}, want{403, metav1.StatusReasonForbidden, nil, "spec.URL"}},
		"another object":       {request{method: http.MethodPatch, path: at + "/far", body: `{"spec":{"mount":{"ref":{"name":"own"}}}}`, headers: merge}, want{422, metav1.StatusReasonInvalid, []string{"spec.mount"}, ""}},
		"no object":            {request{method: http.MethodPatch, path: at + "/far", body: `{"spec":{"mount":null}}`, headers: merge}, want{422, metav1.StatusReasonInvalid, []string{"spec.mount"}, ""}},
		"a cluster":            {request{method: http.MethodPatch, path: at + "/far", body: `{"spec":{"cluster":"root"}}`, headers: merge}, want{403, metav1.StatusReasonForbidden, nil, "spec.cluster"}},
		"a phase":              {request{method: http.MethodPatch, path: at + "/far/status", body: `{"status":{"phase":"Ready"}}`, headers: merge}, want{403, metav1.StatusReasonForbidden, nil, ""}},
		"a type":               {request{method: http.MethodPost, path: at, body: toJSON(t, strings.Replace(fmt.Sprintf(mountedWorkspace, "x", "far"), "spec: {", "spec: {type: {name: universal}, ", 1))}, want{422, metav1.StatusReasonInvalid, []string{"spec.type"}, ""}},
		"an incomplete object": {request{method: http.MethodPost, path: at, body: toJSON(t, strings.Replace(fmt.Sprintf(mountedWorkspace, "x", "far"), "kind: Remote, ", "", 1))}, want{422, metav1.StatusReasonInvalid, []string{"spec.mount.ref.kind"}, ""}},
	} {
		t.Run(name, func(t *testing.T) { c.want.check(t, user.in(t).send(c.request)) })
	}
	if len(target.seen) > 0 {
		t.Errorf("the target got %d requests", len(target.seen))
	}
	// A server without a certificate for mounts refuses them.
	a := asAdmin(t, far).send(request{method: http.MethodPost, path: "/clusters/" + behind + "/apis/tenancy.kcp.io/v1alpha1/workspaces", body: toJSON(t, fmt.Sprintf(mountedWorkspace, "m", "far"))})
	want{422, metav1.StatusReasonInvalid, []string{"spec.mount"}, "not enabled"}.check(t, a)
}
