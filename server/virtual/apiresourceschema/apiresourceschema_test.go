package apiresourceschema

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/storage/head"
	"github.com/annex-dev/annex/server/virtual"
)

func TestParse(t *testing.T) {
	e := New(Config{})
	at := func(name, target, rest string) virtual.Request {
		return virtual.Request{Endpoint: virtual.Endpoint{Name: name}, Target: logicalcluster.Path(target), Rest: rest}
	}
	for below, want := range map[string]virtual.Request{
		"2f8k/apis/x":                 at("2f8k", "2f8k", "/apis/x"),
		"root:org/apis/x":             at("root:org", "root:org", "/apis/x"),
		"root%3Aorg":                  at("root:org", "root:org", ""),
		"root:org/":                   at("root:org", "root:org", "/"),
		"root:org/clusters/*/apis":    at("root:org", "root:org", "/apis"),
		"root:org/clusters/2f8k/apis": at("root:org", "2f8k", "/apis"),
		"root/clusters/root":          at("root", "root", ""),
		"root/clusters":               at("root", "root", "/clusters"),
	} {
		if got, err := e.Parse(below); err != nil || got != want {
			t.Errorf("%s is %+v, %v", below, got, err)
		}
	}
	for _, below := range []string{"", "*/apis", "Root/apis", "root/clusters/", "root/clusters/Root/apis", "%/apis", "../apis", "root/clusters/../apis", "root%2Fx/apis"} {
		if got, err := e.Parse(below); !apierrors.IsBadRequest(err) {
			t.Errorf("%s is %+v, %v", below, got, err)
		}
	}
}

// rights are who may get APIBindings where.
type rights []string

func (r rights) InCluster(ctx context.Context, cluster logicalcluster.Name, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if _, ok := virtual.FromContext(ctx); ok {
		return authorizer.DecisionDeny, "", errors.New("it is asked about an endpoint")
	}
	asked := strings.Join([]string{a.GetUser().GetName(), a.GetVerb(), a.GetResource() + "." + a.GetAPIGroup(), cluster.String()}, " ")
	for _, right := range r {
		if right == asked {
			return authorizer.DecisionAllow, "", nil
		}
	}
	return authorizer.DecisionNoOpinion, "", nil
}

type resolver map[logicalcluster.Path]logicalcluster.Name

func (r resolver) Resolve(_ context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	if path == "broken" {
		return "", false, errors.New("etcd is gone")
	}
	name, found := r[path]
	return name, found, nil
}

func bindingOf(consumer, provider logicalcluster.Name, name, schema, uid string) *apisv1alpha2.APIBinding {
	b := clienttest.In(consumer, &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: name}})
	b.Status.APIExportClusterName = provider.String()
	b.Status.BoundResources = []apisv1alpha2.BoundAPIResource{{Schema: apisv1alpha2.BoundAPIResourceSchema{Name: schema, UID: uid}}}
	return b
}

func newEndpoint() *Endpoint {
	return New(Config{
		Cached: clienttest.NewFake(
			bindingOf("team", "provider", "widgets", "v1.widgets", "u1"), bindingOf("team", "", "unbound", "v1.gadgets", "u2"),
			bindingOf("other", "provider", "secrets", "v1.secrets", "u3"),
		),
		Fresh:    func(context.Context) (uint64, error) { return 0, nil },
		Policy:   rights{"alice get apibindings.apis.kcp.io team"},
		Resolver: resolver{"root:team": "team", "team": "team", "root:other": "other", "other": "other"},
		Inactive: func(logicalcluster.Name) bool { return false },
	})
}

func in(ctx context.Context, cluster logicalcluster.Name, name string) context.Context {
	ctx = logicalcluster.WithCluster(ctx, cluster)
	return virtual.WithEndpoint(ctx, virtual.Endpoint{Kind: Name, Cluster: cluster, Name: name})
}

func TestAuthorize(t *testing.T) {
	e := newEndpoint()
	decide := func(ctx context.Context, who string) (authorizer.Decision, error) {
		attrs := authorizer.AttributesRecord{Verb: "list", APIGroup: "apis.kcp.io", Resource: "apiresourceschemas", ResourceRequest: true}
		if who != "" {
			attrs.User = &user.DefaultInfo{Name: who}
		}
		decision, _, err := e.Authorize(ctx, attrs)
		return decision, err
	}
	for name, tc := range map[string]struct {
		ctx  context.Context
		who  string
		want authorizer.Decision
	}{
		"by path":                   {in(t.Context(), "team", "root:team"), "alice", authorizer.DecisionAllow},
		"by name":                   {in(t.Context(), "team", "team"), "alice", authorizer.DecisionAllow},
		"another user":              {in(t.Context(), "team", "team"), "bob", authorizer.DecisionDeny},
		"nobody":                    {in(t.Context(), "team", "team"), "", authorizer.DecisionDeny},
		"another cluster":           {in(t.Context(), "other", "other"), "alice", authorizer.DecisionDeny},
		"two clusters":              {in(t.Context(), "team", "root:other"), "alice", authorizer.DecisionDeny},
		"the other way round":       {in(t.Context(), "other", "root:team"), "alice", authorizer.DecisionDeny},
		"a cluster that is unknown": {in(t.Context(), "team", "root:nobody"), "alice", authorizer.DecisionDeny},
		"no endpoint":               {logicalcluster.WithCluster(t.Context(), "team"), "alice", authorizer.DecisionDeny},
		"all clusters":              {logicalcluster.WithWildcard(virtual.WithEndpoint(t.Context(), virtual.Endpoint{Kind: Name, Name: "team"})), "alice", authorizer.DecisionDeny},
	} {
		if got, err := decide(tc.ctx, tc.who); got != tc.want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if got, err := decide(in(t.Context(), "team", "broken"), "alice"); got != authorizer.DecisionDeny || err == nil {
		t.Errorf("nobody knows the cluster: %v, %v", got, err)
	}
}

func TestTarget(t *testing.T) {
	e := newEndpoint()
	for _, tc := range []struct {
		verb, resource, subresource, name string
		refused                           func(error) bool
	}{
		{"list", "apiresourceschemas", "", "", nil},
		{"watch", "apiresourceschemas", "", "", nil},
		{"get", "apiresourceschemas", "", "v1.widgets", nil},
		{"get", "apiresourceschemas", "", "v1.gadgets", apierrors.IsNotFound}, // not bound yet
		{"get", "apiresourceschemas", "", "v1.secrets", apierrors.IsNotFound}, // of another consumer
		{"get", "apiresourceschemas", "status", "v1.widgets", apierrors.IsNotFound},
		{"list", "apibindings", "", "", apierrors.IsNotFound},
		{"create", "apiresourceschemas", "", "", apierrors.IsMethodNotSupported},
		{"update", "apiresourceschemas", "", "v1.widgets", apierrors.IsMethodNotSupported},
		{"patch", "apiresourceschemas", "", "v1.widgets", apierrors.IsMethodNotSupported},
		{"delete", "apiresourceschemas", "", "v1.widgets", apierrors.IsMethodNotSupported},
		{"deletecollection", "apiresourceschemas", "", "", apierrors.IsMethodNotSupported},
	} {
		info := &genericapirequest.RequestInfo{IsResourceRequest: true, APIGroup: "apis.kcp.io", Resource: tc.resource, Subresource: tc.subresource, Verb: tc.verb, Name: tc.name}
		got, err := e.Target(httptest.NewRequestWithContext(in(t.Context(), "team", "team"), http.MethodGet, "/", nil), info)
		if tc.refused != nil {
			if !tc.refused(err) {
				t.Errorf("%+v: %v", tc, err)
			}
			continue
		}
		if err != nil || got.Filter == nil || got.All == (tc.verb == "get") {
			t.Errorf("%+v: %+v, %v", tc, got, err)
			continue
		}
		for h, want := range map[string]bool{"provider v1.widgets u1": true, "provider v1.widgets u9": false, "else v1.widgets u1": false, "provider v1.secrets u3": false} {
			f := strings.Fields(h)
			if shows := got.Filter.Shows(head.Head{Cluster: logicalcluster.Name(f[0]), Name: f[1], UID: types.UID(f[2])}); shows != want {
				t.Errorf("%s: shows %s: %t", tc.verb, h, shows)
			}
		}
	}
}

// A watch must not go on, nor be resumed, over a change of what is bound.
func TestTarget_WatchesEndWithWhatIsBound(t *testing.T) {
	e := newEndpoint()
	fake := clienttest.NewFake(bindingOf("team", "provider", "widgets", "v1.widgets", "u1"))
	e.Cached = fake
	info := &genericapirequest.RequestInfo{IsResourceRequest: true, APIGroup: "apis.kcp.io", Resource: "apiresourceschemas", Verb: "watch"}
	watch := func(query string) error {
		_, err := e.Target(httptest.NewRequestWithContext(in(t.Context(), "team", "team"), http.MethodGet, "/?"+query, nil), info)
		return err
	}
	target, err := e.Target(httptest.NewRequestWithContext(in(t.Context(), "team", "team"), http.MethodGet, "/", nil), info)
	if err != nil || !target.Covers.Holds(t.Context()) || !target.While.Holds(t.Context()) {
		t.Fatalf("a watch ends at once: %v", err)
	}
	if _, err := fake.Create(t.Context(), bindings, "team", bindingOf("team", "provider", "gadgets", "v1.gadgets", "u2")); err != nil {
		t.Fatal(err)
	}
	if target.Covers.Holds(t.Context()) {
		t.Error("the watch goes on though more is bound")
	}
	_, changed, err := e.boundIn(t.Context(), "team")
	if err != nil || changed < 2 {
		t.Fatalf("the bindings have changed at %d: %v", changed, err)
	}
	if err := watch("resourceVersion=1"); !apierrors.IsResourceExpired(err) {
		t.Errorf("a watch from before: %v", err)
	}
	for _, query := range []string{"", "resourceVersion=0", "resourceVersion=1&sendInitialEvents=true", "resourceVersion=1000000"} {
		if err := watch(query); err != nil {
			t.Errorf("%s: %v", query, err)
		}
	}
	off := false
	e.Inactive = func(logicalcluster.Name) bool { return off }
	condition := e.sameActivity("team")
	if off = true; condition.Holds(t.Context()) {
		t.Error("the watch goes on in a workspace that was switched off")
	}
}
