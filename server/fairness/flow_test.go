package fairness

import (
	"context"
	"net/http/httptest"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/virtual"
)

func TestShareOf(t *testing.T) {
	alice := &user.DefaultInfo{Name: "alice", Groups: []string{"system:authenticated"}}
	operator := &user.DefaultInfo{Name: "operator", Groups: []string{user.SystemPrivilegedGroup}}
	cluster := func(ctx context.Context) context.Context { return logicalcluster.WithCluster(ctx, "abc123") }
	endpoint := func(ctx context.Context) context.Context {
		return virtual.WithEndpoint(ctx, virtual.Endpoint{Kind: "apiexport", Cluster: "provider", Name: "widgets"})
	}
	projected := func(ctx context.Context) context.Context {
		return virtual.WithEndpoint(ctx, virtual.Endpoint{Kind: "hostbinding", Cluster: "host", Name: "widgets", Direct: true})
	}
	paths := map[logicalcluster.Name]logicalcluster.Path{"abc123": "root:org:team:child", "provider": "root:providers"}
	pathOf := func(name logicalcluster.Name) (logicalcluster.Path, bool) {
		path, ok := paths[name]
		return path, ok
	}
	for name, tc := range map[string]struct {
		ctx  context.Context
		user user.Info
		want share
	}{
		"a cluster":                                {cluster(t.Context()), alice, share{"root:org", "abc123"}},
		"all clusters":                             {logicalcluster.WithWildcard(t.Context()), alice, own(allShare)},
		"no cluster":                               {t.Context(), alice, own(processShare)},
		"an unknown cluster":                       {logicalcluster.WithUnknown(t.Context()), alice, own(processShare)},
		"a virtual endpoint, all consumers":        {endpoint(logicalcluster.WithWildcard(t.Context())), alice, share{"root:providers", "provider"}},
		"a virtual endpoint, one consumer":         {endpoint(cluster(t.Context())), alice, share{"root:providers", "provider"}},
		"projected, in one workspace":              {projected(cluster(t.Context())), alice, share{"root:org", "abc123"}},
		"projected, in several":                    {projected(logicalcluster.WithWildcard(t.Context())), alice, own("host")},
		"the operator in a cluster":                {cluster(t.Context()), operator, own(operatorShare)},
		"the operator in all clusters":             {logicalcluster.WithWildcard(t.Context()), operator, own(operatorShare)},
		"the operator who reads the metrics":       {t.Context(), operator, own(operatorShare)},
		"a cluster of the server, by its operator": {logicalcluster.WithCluster(t.Context(), "system:admin"), operator, own(operatorShare)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := shareOf(tc.ctx, tc.user, pathOf); got != tc.want {
				t.Errorf("share %+v, want %+v", got, tc.want)
			}
		})
	}
}

// A mounted workspace uses the share of the workspace that it is in, and its streams are as limited as watches.
func TestShareOf_Mounts(t *testing.T) {
	alice := &user.DefaultInfo{Name: "alice", Groups: []string{"system:authenticated"}}
	at := func(workspace bool) context.Context {
		return virtual.WithEndpoint(logicalcluster.WithCluster(t.Context(), "abc123"), virtual.Endpoint{Kind: "mount", Cluster: "abc123", Name: "m", Direct: true, Workspace: workspace})
	}
	pathOf := func(logicalcluster.Name) (logicalcluster.Path, bool) { return "root:org:team", true }
	if got := shareOf(at(true), alice, pathOf); got != (share{"root:org", "abc123"}) {
		t.Errorf("share %+v", got)
	}
	whoAmI := &genericapirequest.RequestInfo{IsResourceRequest: true, Verb: "create", APIGroup: "authentication.k8s.io", Resource: "selfsubjectreviews"}
	if mounted, here := shareFor(at(true), alice, whoAmI, pathOf), shareFor(at(false), alice, whoAmI, pathOf); mounted != (share{"root:org", "abc123"}) || here != own(processShare) {
		t.Errorf("who asks who they are uses %+v in a mounted workspace, and %+v in others", mounted, here)
	}
	resource := func(verb, subresource string) *genericapirequest.RequestInfo {
		return &genericapirequest.RequestInfo{IsResourceRequest: true, Verb: verb, Resource: "pods", Subresource: subresource}
	}
	for _, tc := range []struct {
		ctx  context.Context
		info *genericapirequest.RequestInfo
		want bool
	}{
		{at(true), resource("create", "exec"), true},
		{at(true), resource("get", "log"), true},
		{at(true), resource("watch", ""), true},
		{at(true), resource("list", ""), false},
		{at(true), resource("get", "status"), false},
		{at(true), &genericapirequest.RequestInfo{Verb: "get", Path: "/exec"}, false},
		{at(false), resource("create", "exec"), false},
		{t.Context(), resource("create", "exec"), false},
	} {
		if got := forwardsStream(tc.ctx, tc.info); got != tc.want {
			t.Errorf("%+v: %t, want %t", tc.info, got, tc.want)
		}
	}
}

func TestOwnShareOf(t *testing.T) {
	robot := func(home string) *user.DefaultInfo {
		return &user.DefaultInfo{Name: "robot", Extra: map[string][]string{"authentication.kcp.io/cluster-name": {home}}}
	}
	pathOf := func(name logicalcluster.Name) (logicalcluster.Path, bool) { return "root:org:team", name == "abc123" }
	for name, tc := range map[string]struct {
		user user.Info
		want share
	}{
		"a user":           {&user.DefaultInfo{Name: "alice"}, own(processShare)},
		"a ServiceAccount": {robot("abc123"), share{"root:org", "abc123"}},
		"a ServiceAccount of a cluster that went": {robot("gone"), own("gone")},
	} {
		if got := ownShareOf(tc.user, pathOf); got != tc.want {
			t.Errorf("%s: share %+v, want %+v", name, got, tc.want)
		}
	}
}

func TestSeatsOf(t *testing.T) {
	for name, tc := range map[string]struct {
		verb, query string
		want        int
	}{
		"get":                              {"get", "", 1},
		"a list of everything":             {"list", "", broadSeats},
		"a page":                           {"list", "?limit=500", 1},
		"a huge page":                      {"list", "?limit=501", broadSeats},
		"a page of nothing is no page":     {"list", "?limit=0", broadSeats},
		"a limit that is none":             {"list", "?limit=many", broadSeats},
		"a watch from the start":           {"watch", "?resourceVersion=0", broadSeats},
		"a watch from now":                 {"watch", "", broadSeats},
		"a watch that goes on":             {"watch", "?resourceVersion=12", 1},
		"a watch that goes on with a list": {"watch", "?resourceVersion=12&sendInitialEvents=true", broadSeats},
		"create":                           {"create", "", 1},
		"deletecollection":                 {"deletecollection", "?limit=1", broadSeats},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/api/v1/configmaps"+tc.query, nil)
			if got := seatsOf(r, &genericapirequest.RequestInfo{IsResourceRequest: true, Verb: tc.verb}); got != tc.want {
				t.Errorf("%d seats, want %d", got, tc.want)
			}
		})
	}
	for path, want := range map[string]int{"/openapi/v2": broadSeats, "/openapi/v3/api/v1": broadSeats, "/usage": broadSeats, "/apis": 1} {
		if got := seatsOf(httptest.NewRequest("GET", path, nil), &genericapirequest.RequestInfo{Verb: "get"}); got != want {
			t.Errorf("%s: %d seats, want %d", path, got, want)
		}
	}
}

func TestIsRead(t *testing.T) {
	for verb, want := range map[string]bool{
		"get": true, "list": true, "watch": true, "head": true, "options": true,
		"create": false, "update": false, "patch": false, "delete": false, "deletecollection": false, "post": false, "put": false,
	} {
		if got := isRead(&genericapirequest.RequestInfo{Verb: verb}); got != want {
			t.Errorf("%s is a read: %t", verb, got)
		}
	}
}
