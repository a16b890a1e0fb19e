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

func TestFlowOf(t *testing.T) {
	alice := &user.DefaultInfo{Name: "alice", Groups: []string{"system:authenticated"}}
	operator := &user.DefaultInfo{Name: "operator", Groups: []string{user.SystemPrivilegedGroup}}
	cluster := func(ctx context.Context) context.Context { return logicalcluster.WithCluster(ctx, "abc123") }
	endpoint := func(ctx context.Context) context.Context {
		return virtual.WithEndpoint(ctx, virtual.Endpoint{Kind: "apiexport", Cluster: "provider", Name: "widgets"})
	}
	projected := func(ctx context.Context) context.Context {
		return virtual.WithEndpoint(ctx, virtual.Endpoint{Kind: "hostbinding", Cluster: "host", Name: "widgets", Direct: true})
	}
	for name, tc := range map[string]struct {
		ctx  context.Context
		user user.Info
		want string
	}{
		"a cluster":                                {cluster(t.Context()), alice, "abc123"},
		"all clusters":                             {logicalcluster.WithWildcard(t.Context()), alice, allFlow},
		"no cluster":                               {t.Context(), alice, processFlow},
		"an unknown cluster":                       {logicalcluster.WithUnknown(t.Context()), alice, processFlow},
		"a virtual endpoint, all consumers":        {endpoint(logicalcluster.WithWildcard(t.Context())), alice, "provider"},
		"a virtual endpoint, one consumer":         {endpoint(cluster(t.Context())), alice, "provider"},
		"projected, in one workspace":              {projected(cluster(t.Context())), alice, "abc123"},
		"projected, in several":                    {projected(logicalcluster.WithWildcard(t.Context())), alice, "host"},
		"the operator in a cluster":                {cluster(t.Context()), operator, operatorFlow},
		"the operator in all clusters":             {logicalcluster.WithWildcard(t.Context()), operator, operatorFlow},
		"the operator who reads the metrics":       {t.Context(), operator, operatorFlow},
		"a cluster of the server, by its operator": {logicalcluster.WithCluster(t.Context(), "system:admin"), operator, operatorFlow},
	} {
		t.Run(name, func(t *testing.T) {
			if got := flowOf(tc.ctx, tc.user); got != tc.want {
				t.Errorf("flow %q, want %q", got, tc.want)
			}
		})
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
	for path, want := range map[string]int{"/openapi/v2": broadSeats, "/openapi/v3/api/v1": broadSeats, "/apis": 1} {
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
