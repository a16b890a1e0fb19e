package lifecycle

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/registry/storage/head"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
)

func TestParse(t *testing.T) {
	e := NewInitializing(Config{})
	for below, want := range map[string]virtual.Request{
		"2f8k:team/clusters/*/apis/x": {Endpoint: virtual.Endpoint{Cluster: "2f8k", Name: "team"}, Target: "*", Rest: "/apis/x"},
		"root:team/clusters/2f8k":     {Endpoint: virtual.Endpoint{Cluster: "root", Name: "team"}, Target: "2f8k"},
		"root%3Ateam/clusters/root/":  {Endpoint: virtual.Endpoint{Cluster: "root", Name: "team"}, Target: "root", Rest: "/"},
	} {
		if got, err := e.Parse(below); err != nil || got != want {
			t.Errorf("%s is %+v, %v", below, got, err)
		}
	}
	for below, want := range map[string]func(error) bool{
		"":                          apierrors.IsNotFound,
		"root:team":                 apierrors.IsNotFound,
		"root:team/api":             apierrors.IsNotFound,
		"root:team/cluster/x":       apierrors.IsNotFound,
		"team/clusters/*":           apierrors.IsBadRequest,
		":team/clusters/*":          apierrors.IsBadRequest,
		"root:/clusters/*":          apierrors.IsBadRequest,
		"root:org:team/clusters/*":  apierrors.IsBadRequest,
		"*:team/clusters/*":         apierrors.IsBadRequest,
		"root:a%2fb/clusters/*":     apierrors.IsBadRequest,
		"root:team/clusters/":       apierrors.IsBadRequest,
		"root:team/clusters/root:a": apierrors.IsBadRequest,
		"root:team/clusters/%":      apierrors.IsBadRequest,
		"root:team/clusters/..":     apierrors.IsBadRequest,
	} {
		if got, err := e.Parse(below); !want(err) {
			t.Errorf("%s is %+v, %v", below, got, err)
		}
	}
}

// rights are who may do what in which cluster: "alice initialize home team".
type rights []string

func (r rights) Authorize(_ context.Context, cluster logicalcluster.Name, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if slices.Contains(r, a.GetUser().GetName()+" "+a.GetVerb()+" "+string(cluster)+" "+a.GetName()) && a.GetResource() == "workspacetypes" && a.GetAPIGroup() == "tenancy.kcp.io" {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// inside decides about requests in clusters, and notes who asks.
type inside struct{ asked []string }

func (p *inside) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	_, atEndpoint := virtual.FromContext(ctx)
	cluster, _ := logicalcluster.FromContext(ctx)
	if atEndpoint {
		return authorizer.DecisionDeny, "", errors.New("it is asked about an endpoint")
	}
	p.asked = append(p.asked, string(cluster)+" "+a.GetUser().GetName()+" "+a.GetVerb())
	if a.GetUser().GetName() == "owner" && a.GetVerb() != "delete" {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

var limitedRules = []rbacv1.PolicyRule{{APIGroups: []string{"", "apis.kcp.io"}, Resources: []string{"configmaps", "apibindings/status"}, Verbs: []string{"*"}}}

// newEndpoint returns a virtual workspace over the types owner and limited of cluster home, and clusters that wait for them.
func newEndpoint(s *stage) (*Endpoint, *inside) {
	of := func(name string, rules []rbacv1.PolicyRule) *tenancyv1alpha1.WorkspaceType {
		wt := clienttest.In("home", &tenancyv1alpha1.WorkspaceType{ObjectMeta: metav1.ObjectMeta{Name: name}})
		wt.Spec.InitializerPermissions, wt.Spec.TerminatorPermissions = rules, rules
		return wt
	}
	waits := func(cluster logicalcluster.Name, id string, phase corev1alpha1.LogicalClusterPhaseType, creator *authenticationv1.UserInfo) *corev1alpha1.LogicalCluster {
		lc := clienttest.In(cluster, &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster"}})
		lc.Spec.CreatedBy, lc.Status.Phase = creator, phase
		lc.Status.Initializers = []corev1alpha1.LogicalClusterInitializer{corev1alpha1.LogicalClusterInitializer(id)}
		lc.Status.Terminators = []corev1alpha1.LogicalClusterTerminator{corev1alpha1.LogicalClusterTerminator(id)}
		return lc
	}
	owner := &authenticationv1.UserInfo{
		Username: "owner", UID: "7", Groups: []string{"devs", user.SystemPrivilegedGroup, "system:kcp:initializer:x:y", "system:authenticated"},
		Extra: map[string]authenticationv1.ExtraValue{policy.ScopesKey: {"cluster:home"}, "mine": {"a"}, policy.WarrantKey: {`{"groups":["system:kcp:admin"]}`}},
	}
	p := &inside{}
	fake := clienttest.NewFake(
		of("owner", nil), of("limited", limitedRules),
		waits("free", "home:owner", s.phase, owner), waits("bound", "home:limited", s.phase, owner), waits("orphan", "home:owner", s.phase, nil),
		waits("stray", "home:missing", s.phase, owner), waits("ready", "home:owner", corev1alpha1.LogicalClusterPhaseReady, owner),
	)
	return &Endpoint{stage: s, Config: Config{
		Cached: fake, Live: fake, Policy: p, Watches: serve.NewWatches(),
		Authorizer:       rights{"alice " + s.verb + " home owner", "alice " + s.verb + " home limited", "alice " + s.verb + " home missing"},
		IsStatusByServer: func(gr schema.GroupResource) bool { return gr.Resource == "apibindings" },
	}}, p
}

func requestFor(ctx context.Context, s *stage, name string, target logicalcluster.Path) context.Context {
	ctx = virtual.WithEndpoint(ctx, virtual.Endpoint{Kind: s.name, Cluster: "home", Name: name})
	if target == logicalcluster.Wildcard {
		return logicalcluster.WithWildcard(ctx)
	}
	return logicalcluster.WithCluster(ctx, logicalcluster.Name(target))
}

func TestAuthorize_WhoEnters(t *testing.T) {
	alice, master := &user.DefaultInfo{Name: "alice"}, &user.DefaultInfo{Name: "m", Groups: []string{user.SystemPrivilegedGroup}}
	lifecycleGroup := &user.DefaultInfo{Name: "eve", Groups: []string{"system:kcp:initializer:home:owner", "system:kcp:terminator:home:owner"}}
	configMaps := func(verb string) authorizer.AttributesRecord {
		return authorizer.AttributesRecord{Verb: verb, APIVersion: "v1", Resource: "configmaps", ResourceRequest: true}
	}
	clusters := authorizer.AttributesRecord{Verb: "list", APIGroup: "core.kcp.io", APIVersion: "v1alpha1", Resource: "logicalclusters", ResourceRequest: true}
	status := authorizer.AttributesRecord{Verb: "update", APIGroup: "apis.kcp.io", Resource: "apibindings", Subresource: "status", ResourceRequest: true}
	path := func(p string) authorizer.AttributesRecord { return authorizer.AttributesRecord{Verb: "get", Path: p} }
	for _, s := range []*stage{&initializing, &terminating} {
		for _, tc := range []struct {
			name, of string
			target   logicalcluster.Path
			by       user.Info
			asks     authorizer.AttributesRecord
			want     bool
		}{
			{"all LogicalClusters", "owner", "*", alice, clusters, true},
			{"one LogicalCluster, which the filter may hide", "owner", "ready", alice, clusters, true},
			{"discovery over all", "owner", "*", alice, path("/apis"), true},
			{"nobody", "owner", "*", nil, clusters, false},
			{"a stranger", "owner", "*", &user.DefaultInfo{Name: "bob"}, clusters, false},
			{"the group of kcp", "owner", "free", lifecycleGroup, configMaps("get"), false},
			{"the creator", "owner", "free", &user.DefaultInfo{Name: "owner"}, configMaps("get"), false},
			{"as the creator", "owner", "free", alice, configMaps("get"), true},
			{"what the creator may not", "owner", "free", alice, configMaps("delete"), false},
			{"without a creator", "owner", "orphan", alice, configMaps("get"), false},
			{"not for this type", "owner", "bound", alice, configMaps("get"), false},
			{"not in this phase", "owner", "ready", alice, configMaps("get"), false},
			{"no cluster", "owner", "nowhere", alice, configMaps("get"), false},
			{"a type that is gone", "missing", "stray", alice, configMaps("get"), false},
			{"in scope", "limited", "bound", alice, configMaps("delete"), true},
			{"out of scope", "limited", "bound", alice, authorizer.AttributesRecord{Verb: "get", Resource: "secrets", ResourceRequest: true}, false},
			{"discovery", "limited", "bound", alice, path("/openapi/v3"), true},
			{"another path", "limited", "bound", alice, path("/metrics"), false},
			{"a status of the server", "limited", "bound", alice, status, false},
			{"a master in no phase", "owner", "ready", master, configMaps("get"), false},
			{"a master out of scope", "limited", "bound", master, authorizer.AttributesRecord{Verb: "get", Resource: "secrets", ResourceRequest: true}, false},
			{"a master over all", "missing", "*", master, clusters, true},
		} {
			e, p := newEndpoint(s)
			if tc.asks.User = tc.by; tc.by == nil {
				tc.asks.User = nil
			}
			decision, reason, err := e.Authorize(requestFor(t.Context(), s, tc.of, tc.target), tc.asks)
			if (decision == authorizer.DecisionAllow) != tc.want || err != nil {
				t.Errorf("%s: %s: %v %q, %v; want allowed: %v", s.name, tc.name, decision, reason, err, tc.want)
			}
			for _, asked := range p.asked {
				if asked != "free owner "+tc.asks.Verb {
					t.Errorf("%s: asked inside: %q", tc.name, asked)
				}
			}
		}
		e, _ := newEndpoint(s)
		other := virtual.WithEndpoint(logicalcluster.WithWildcard(t.Context()), virtual.Endpoint{Kind: "apiexport", Cluster: "home", Name: "owner"})
		for what, ctx := range map[string]context.Context{"no endpoint": t.Context(), "another one": other, "no cluster": virtual.WithEndpoint(t.Context(), virtual.Endpoint{Kind: s.name})} {
			clusters.User = master
			if decision, _, _ := e.Authorize(ctx, clusters); decision == authorizer.DecisionAllow {
				t.Errorf("%s: allowed", what)
			}
		}
	}
}

func TestEnter(t *testing.T) {
	e, _ := newEndpoint(&initializing)
	enter := func(of string, target logicalcluster.Path, info genericapirequest.RequestInfo) (*http.Request, func(), error) {
		ctx := genericapirequest.WithUser(requestFor(t.Context(), &initializing, of, target), &user.DefaultInfo{Name: "alice"})
		return e.Enter(httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil), &info)
	}
	read := genericapirequest.RequestInfo{IsResourceRequest: true, Verb: "get", Resource: "configmaps"}
	write := genericapirequest.RequestInfo{IsResourceRequest: true, Verb: "create", Resource: "configmaps"}
	req, done, err := enter("owner", "free", write)
	if err != nil {
		t.Fatal(err)
	}
	done()
	u, _ := genericapirequest.UserFrom(req.Context())
	want := map[string][]string{policy.ScopesKey: {"cluster:free"}, "mine": {"a"}}
	if u.GetName() != "owner" || !slices.Equal(u.GetGroups(), []string{"devs", "system:authenticated"}) || !maps.EqualFunc(u.GetExtra(), want, slices.Equal[[]string]) {
		t.Errorf("it enters as %+v", u)
	}
	if _, ok := virtual.FromContext(req.Context()); ok || policy.Warranted(req.Context(), "free") {
		t.Error("who acts as the creator has more rights than the creator")
	}
	for _, tc := range []struct {
		info            genericapirequest.RequestInfo
		warrant, remain bool
	}{
		{read, false, true},
		{write, true, true},
		{genericapirequest.RequestInfo{IsResourceRequest: true, Verb: "create", APIGroup: "authorization.k8s.io", Resource: "selfsubjectaccessreviews"}, false, false},
	} {
		req, done, err := enter("limited", "bound", tc.info)
		if err != nil {
			t.Fatal(err)
		}
		done()
		u, _ := genericapirequest.UserFrom(req.Context())
		_, remains := virtual.FromContext(req.Context())
		if u.GetName() != "alice" || policy.Warranted(req.Context(), "bound") != tc.warrant || remains != tc.remain {
			t.Errorf("%s %s enters as %s, at the endpoint: %v, with a warrant: %v", tc.info.Verb, tc.info.Resource, u.GetName(), remains, policy.Warranted(req.Context(), "bound"))
		}
	}
	for _, at := range [][2]string{{"owner", "ready"}, {"owner", "orphan"}, {"missing", "stray"}, {"owner", "bound"}} {
		if _, _, err := enter(at[0], logicalcluster.Path(at[1]), read); !apierrors.IsForbidden(err) {
			t.Errorf("%v: %v, want Forbidden", at, err)
		}
	}
	if req, _, err := enter("owner", "free", genericapirequest.RequestInfo{IsResourceRequest: true, APIGroup: "core.kcp.io", Resource: "logicalclusters"}); req != nil || err != nil {
		t.Errorf("LogicalClusters enter: %v", err)
	}
	if req, _, err := enter("owner", "*", read); req != nil || err != nil {
		t.Errorf("all clusters are entered: %v", err)
	}
	// A watch ends when the cluster no longer waits.
	req, done, err = enter("limited", "bound", genericapirequest.RequestInfo{IsResourceRequest: true, Verb: "watch", Resource: "configmaps"})
	if err != nil || req.Context().Err() != nil {
		t.Fatalf("%v, %v", err, req)
	}
	defer done()
	fake := e.Cached.(*clienttest.Fake)
	obj, err := fake.Get(t.Context(), logicalClusters, client.Key{Cluster: "bound", Name: "cluster"})
	if err != nil {
		t.Fatal(err)
	}
	lc := obj.DeepCopyObject().(*corev1alpha1.LogicalCluster)
	lc.Status.Initializers = nil
	if _, err := fake.Update(t.Context(), logicalClusters, "bound", lc); err != nil {
		t.Fatal(err)
	}
	e.Watches.Recheck("bound")
	<-req.Context().Done()
}

func TestTarget(t *testing.T) {
	e, _ := newEndpoint(&initializing)
	target := func(of string, cluster logicalcluster.Path, verb, subresource, resource string) (serve.Target, error) {
		info := &genericapirequest.RequestInfo{IsResourceRequest: true, Verb: verb, APIGroup: "core.kcp.io", Resource: resource, Subresource: subresource, Name: "cluster"}
		return e.Target(httptest.NewRequestWithContext(requestFor(t.Context(), &initializing, of, cluster), http.MethodGet, "/", nil), info)
	}
	for _, tc := range []struct {
		of                          string
		cluster                     logicalcluster.Path
		verb, subresource, resource string
		refused                     func(error) bool
	}{
		{"owner", "*", "list", "", "logicalclusters", nil},
		{"owner", "*", "watch", "", "logicalclusters", nil},
		{"owner", "free", "get", "", "logicalclusters", nil},
		{"owner", "ready", "get", "", "logicalclusters", nil}, // the filter hides it
		{"owner", "free", "get", "status", "logicalclusters", nil},
		{"owner", "free", "patch", "status", "logicalclusters", nil},
		{"owner", "*", "get", "", "logicalclusters", apierrors.IsMethodNotSupported},
		{"owner", "*", "patch", "status", "logicalclusters", apierrors.IsMethodNotSupported},
		{"owner", "free", "patch", "", "logicalclusters", apierrors.IsMethodNotSupported},
		{"owner", "free", "create", "", "logicalclusters", apierrors.IsMethodNotSupported},
		{"owner", "free", "delete", "", "logicalclusters", apierrors.IsMethodNotSupported},
		{"owner", "free", "create", "status", "logicalclusters", apierrors.IsMethodNotSupported},
		{"owner", "free", "get", "scale", "logicalclusters", apierrors.IsNotFound},
		{"owner", "ready", "patch", "status", "logicalclusters", apierrors.IsNotFound},
		{"owner", "bound", "update", "status", "logicalclusters", apierrors.IsNotFound},
		{"owner", "*", "list", "", "shards", apierrors.IsNotFound},
		{"missing", "*", "list", "", "logicalclusters", apierrors.IsServiceUnavailable},
	} {
		got, err := target(tc.of, tc.cluster, tc.verb, tc.subresource, tc.resource)
		if tc.refused != nil {
			if !tc.refused(err) {
				t.Errorf("%+v: %v", tc, err)
			}
			continue
		}
		reading := tc.verb != "patch"
		if err != nil || (got.Filter != nil) != reading || (got.Context != nil) == reading || got.All != (tc.cluster == "*") {
			t.Errorf("%+v: %+v, %v", tc, got, err)
		}
		if !got.While.Holds(t.Context()) {
			t.Errorf("%+v: a watch ends at once", tc)
		}
	}
	// The filter shows what waits, by labels that only the server sets.
	key, value := initializing.label("home:owner")
	for _, tc := range []struct {
		labels map[string]string
		want   bool
	}{
		{map[string]string{key: value, "tenancy.kcp.io/phase": "Initializing"}, true},
		{map[string]string{key: value, "tenancy.kcp.io/phase": "Deleting"}, false},
		{map[string]string{key: "x", "tenancy.kcp.io/phase": "Initializing"}, false},
		{map[string]string{"tenancy.kcp.io/phase": "Initializing"}, false},
		{nil, false},
	} {
		f := initializing.waitingFor("home:owner")
		if got := f.Shows(head.Head{Labels: tc.labels}); got != tc.want {
			t.Errorf("%v shows: %v", tc.labels, got)
		}
	}
}
