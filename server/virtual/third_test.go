package virtual_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/rest"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/authentication"
	"github.com/annex-dev/annex/server/authorization"
	"github.com/annex-dev/annex/server/etcd"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
)

// mirror is a virtual workspace of which the server knows nothing but that it is in the list: /services/mirror/<cluster>/... shows
// alice the ConfigMaps of that cluster, or of all, read-only.
type mirror struct {
	virtual.Closed
	// broken says that its condition for watches is false.
	broken bool
}

func (mirror) Name() string { return "mirror" }

func (mirror) Parse(below string) (virtual.Request, error) {
	target, rest, _ := strings.Cut(below, "/")
	if target != "*" {
		if _, err := logicalcluster.ParseName(target); err != nil {
			return virtual.Request{}, apistatus.NotServed()
		}
	}
	return virtual.Request{Endpoint: virtual.Endpoint{Cluster: "owner", Name: "m"}, Target: logicalcluster.Path(target), Rest: "/" + rest}, nil
}

func (mirror) Authorize(_ context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	if attrs.GetUser().GetName() == "alice" {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func (m mirror) Target(req *http.Request, info *genericapirequest.RequestInfo) (serve.Target, error) {
	if info.APIGroup != "" || info.Resource != "configmaps" || (info.Verb != "get" && info.Verb != "list" && info.Verb != "watch") {
		return serve.Target{}, apistatus.NotServed()
	}
	cluster, single := logicalcluster.FromContext(req.Context())
	return serve.Target{
		Cluster: cluster, All: !single, Resource: &catalog.Resource{Plural: "configmaps", Typed: true},
		While: serve.Condition{Cluster: "owner", Holds: func(context.Context) bool { return !m.broken }},
	}, nil
}

func (mirror) Discovery(context.Context) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { _, _ = io.WriteString(w, "mirrored "+req.URL.Path) }), nil
}

// forgetful is a virtual workspace that has an URL, and forgets to decide.
type forgetful struct{ mirror }

func (forgetful) Name() string { return "forgetful" }

func (forgetful) Authorize(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	return virtual.Closed{}.Authorize(ctx, attrs)
}

// undecided is one that has no opinion.
type undecided struct{ mirror }

func (undecided) Name() string { return "undecided" }

func (undecided) Authorize(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
	return authorizer.DecisionNoOpinion, "", nil
}

// interrupted is one whose watches end at once.
type interrupted struct{ mirror }

func (interrupted) Name() string { return "interrupted" }

// Adding a virtual workspace takes its folder, which is this file, and a line in the list.
func TestVirtual_AThirdWorkspaceIsOneLineInTheList(t *testing.T) {
	store, err := etcd.StartEmbedded(t.Context(), filepath.Join(t.TempDir(), "etcd"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Stop)
	client, err := store.NewClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	tokens := filepath.Join(t.TempDir(), "tokens.csv")
	if err := os.WriteFile(tokens, []byte("alice-token,alice,1\nbob-token,bob,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	types := kinds.All.NewScheme()
	backend, err := storage.NewBackend(storage.Config{Orphans: true, Client: client, Codec: types.StorageCodec})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Destroy)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	s, err := server.New(server.Config{
		Scheme:  types,
		Backend: backend,
		ApplyServing: func(c *genericapiserver.Config) error {
			c.SecureServing, c.LoopbackClientConfig = &genericapiserver.SecureServingInfo{Listener: listener}, &rest.Config{}
			return nil
		},
		Authentication: authentication.Config{TokenFile: tokens},
		Authorization:  server.Authorization{Order: authorization.DefaultOrder()},
		RequestTimeout: time.Minute,
		Virtual:        []virtual.Workspace{mirror{}, forgetful{}, undecided{}, interrupted{mirror{broken: true}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, s, backend)
	listening := httptest.NewServer(s.Generic.Handler)
	t.Cleanup(listening.Close)
	ask := func(who, method, path string) (int, string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, method, listening.URL+path, strings.NewReader(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"}}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+who+"-token")
		req.Header.Set("Content-Type", "application/json")
		resp, err := listening.Client().Do(req)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		return resp.StatusCode, string(body)
	}
	shown := func(path string) []string {
		t.Helper()
		code, body := ask("alice", http.MethodGet, path)
		var list corev1.ConfigMapList
		if err := json.Unmarshal([]byte(body), &list); err != nil || code != http.StatusOK {
			t.Fatalf("%s: %d %s", path, code, body)
		}
		var all []string
		for i := range list.Items {
			all = append(all, string(logicalcluster.From(&list.Items[i])))
		}
		return all
	}
	if got := shown("/services/mirror/*/api/v1/configmaps"); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("all clusters show the ConfigMaps of %q", got)
	}
	if got := shown("/services/mirror/two/api/v1/namespaces/default/configmaps"); !slices.Equal(got, []string{"two"}) {
		t.Errorf("one cluster shows the ConfigMaps of %q", got)
	}
	for _, tc := range []struct {
		who, method, path string
		code              int
		body              string
	}{
		{"alice", http.MethodGet, "/services/mirror/*/apis/v1", http.StatusOK, "mirrored /apis/v1"},
		{"alice", http.MethodGet, "/services/mirror/*/version", http.StatusOK, "gitVersion"},
		{"alice", http.MethodGet, "/services/mirror/*/metrics", http.StatusNotFound, ""},
		{"alice", http.MethodGet, "/services/mirror/*/api/v1/secrets", http.StatusNotFound, ""},
		{"alice", http.MethodPost, "/services/mirror/two/api/v1/namespaces/default/configmaps", http.StatusNotFound, ""},
		{"alice", http.MethodGet, "/services/mirror/Two/api", http.StatusNotFound, ""},
		{"alice", http.MethodGet, "/services/mirror/missing/api", http.StatusForbidden, ""},
		{"bob", http.MethodGet, "/services/mirror/two/api/v1/namespaces/default/configmaps", http.StatusForbidden, ""},
		{"bob", http.MethodGet, "/services/mirror/*/version", http.StatusForbidden, ""},
		{"alice", http.MethodGet, "/services/forgetful/two/api/v1/configmaps", http.StatusForbidden, ""},
		{"alice", http.MethodGet, "/services/undecided/two/api", http.StatusForbidden, ""},
		{"alice", http.MethodGet, "/services/nothing/two/api/v1/configmaps", http.StatusNotFound, ""},
		{"alice", http.MethodGet, "/services/", http.StatusNotFound, ""},
		{"alice", http.MethodGet, "/services/interrupted/*/api/v1/configmaps?watch=true", http.StatusGatewayTimeout, ""},
	} {
		code, body := ask(tc.who, tc.method, tc.path)
		if code != tc.code || !strings.Contains(body, tc.body) {
			t.Errorf("%s %s by %s: %d %s; want %d %s", tc.method, tc.path, tc.who, code, body, tc.code, tc.body)
		}
	}
}

// Two of one name, or one without, would leave it to chance who decides.
func TestVirtual_NamesAreUnique(t *testing.T) {
	for name, list := range map[string][]virtual.Workspace{
		"twice": {mirror{}, mirror{}}, "no name": {nameless{}},
	} {
		if _, err := virtual.NewList(list...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

type nameless struct{ mirror }

func (nameless) Name() string { return "" }

// fill makes two workspaces with a ConfigMap each, and waits until the server knows them.
func fill(t *testing.T, s *server.Server, backend *storage.Backend) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Index.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	until := func(ok func() bool) {
		t.Helper()
		if err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
			return ok(), nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	until(func() bool { return backend.Ready() == nil && s.Index.Ready() == nil })
	for _, cluster := range []logicalcluster.Name{"one", "two"} {
		lc := &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: corev1alpha1.LogicalClusterName}}
		lc.Status.Phase = corev1alpha1.LogicalClusterPhaseReady
		if _, err := s.Client.Create(t.Context(), corev1alpha1.Resource("logicalclusters"), cluster, lc); err != nil {
			t.Fatal(err)
		}
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
		if _, err := s.Client.Create(t.Context(), schema.GroupResource{Resource: "namespaces"}, cluster, namespace); err != nil {
			t.Fatal(err)
		}
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "same"}}
		if _, err := s.Client.Create(t.Context(), schema.GroupResource{Resource: "configmaps"}, cluster, object); err != nil {
			t.Fatal(err)
		}
	}
	until(func() bool {
		_, known := s.Index.PathOf("two")
		return known
	})
}
