package kinds_test

import (
	"context"
	"slices"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.uber.org/zap"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/admissionregistration"
	"github.com/annex-dev/annex/registry/annex"
	"github.com/annex-dev/annex/registry/apiextensions"
	"github.com/annex-dev/annex/registry/apis"
	"github.com/annex-dev/annex/registry/authentication"
	"github.com/annex-dev/annex/registry/authorization"
	"github.com/annex-dev/annex/registry/cachekcp"
	"github.com/annex-dev/annex/registry/certificates"
	"github.com/annex-dev/annex/registry/coordination"
	"github.com/annex-dev/annex/registry/core"
	"github.com/annex-dev/annex/registry/corekcp"
	"github.com/annex-dev/annex/registry/events"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/rbac"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/registry/tenancy"
	"github.com/annex-dev/annex/registry/topology"
)

// allGroups returns the storage of every row, over an etcd that was never there.
func allGroups(t *testing.T) []*group.Group {
	t.Helper()
	all, _ := groupsOver(t, nowhere(t), func(s *rbac.Stores) *group.Group {
		g, err := s.Guarded(&policy.Evaluator{})
		if err != nil {
			t.Fatal(err)
		}
		return g
	})
	return all
}

// nowhere returns a client of an etcd that was never there.
func nowhere(t *testing.T) *kubernetes.Client {
	t.Helper()
	client, err := kubernetes.New(clientv3.Config{Endpoints: []string{"http://127.0.0.1:1"}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// groupsOver returns the storage of every row, over an etcd; that of RBAC is what of returns.
func groupsOver(t *testing.T, client *kubernetes.Client, of func(*rbac.Stores) *group.Group) ([]*group.Group, *storage.Backend) {
	t.Helper()
	s := kinds.All.NewScheme()
	backend, err := storage.NewBackend(storage.Config{Orphans: true, Client: client, Codec: s.StorageCodec, CompactionInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Destroy)
	getter, address := backend.RESTOptionsGetter(), func() string { return "https://host" }
	var all []*group.Group
	add := func(g *group.Group, err error) *group.Group {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, g)
		return g
	}
	evaluator := &policy.Evaluator{}
	coreGroup := add(core.NewGroup(s, getter))
	add(events.NewGroup(coreGroup))
	add(coordination.NewGroup(s, getter))
	stores, err := rbac.NewStores(s, getter)
	if err != nil {
		t.Fatal(err)
	}
	add(of(stores), nil)
	reviews, err := authorization.New(authorization.Config{
		Decider: denying{authorizerfactory.NewAlwaysDenyAuthorizer()}, Evaluator: evaluator, Rules: authorization.Rules{RBAC: true}, Cached: unread{},
		PathOf: func(logicalcluster.Name) (logicalcluster.Path, bool) { return "", false },
	})
	if err != nil {
		t.Fatal(err)
	}
	add(reviews.Group(), nil)
	add(authentication.NewGroup(anonymous.NewAuthenticator(nil), func(context.Context) string { return "" }))
	add(admissionregistration.NewGroup(s, getter))
	add(certificates.NewGroup(s, getter))
	add(apiextensions.NewGroup(s, getter))
	add(tenancy.NewGroup(s, getter, tenancy.URLs{External: address, Virtual: address, PathOf: func(logicalcluster.Name) (logicalcluster.Path, bool) { return "", false }}))
	add(corekcp.NewGroup(s, getter, address))
	add(topology.NewGroup(s, getter))
	add(apis.NewGroup(s, getter, address))
	add(cachekcp.NewGroup(s, getter, address))
	ours := add(annex.NewGroup(s, getter, func() string { return "" }))
	annex.ServeReviews(ours, reviews.Explanations(), reviews.WhoCan())
	return all, backend
}

// unread is read by nobody.
type unread struct{ client.Reader }

// denying denies, and says nothing.
type denying struct {
	authorizer.UnconditionalAuthorizer
}

func (denying) Explain(context.Context, authorizer.Attributes) authorization.Account {
	return authorization.Account{}
}

// Discovery takes its facts from the storage, the schemas that root exports take theirs from the table: the two must agree.
func TestAll_IsWhatTheStorageSays(t *testing.T) {
	t.Parallel()
	groups := allGroups(t)
	if err := kinds.All.Check(groups); err != nil {
		t.Fatal(err)
	}
	for _, row := range kinds.All.Rows() {
		gr := row.GroupResource()
		g := groups[slices.IndexFunc(groups, func(g *group.Group) bool { return g.Name == gr.Group })]
		if _, system := g.System[row.Resource]; system != (row.MediaType != "") {
			t.Errorf("%s has a system store: %v, but is stored: %v", gr, system, !system)
		}
		for _, version := range row.Versions {
			storage := g.Versions[version][row.Resource]
			if namespaced := storage.(rest.Scoper).NamespaceScoped(); namespaced != row.Namespaced {
				t.Errorf("%s is namespaced: %v, but its row says %v", gr, namespaced, row.Namespaced)
			}
			if singular := storage.(rest.SingularNameProvider).GetSingularName(); singular != row.Singular {
				t.Errorf("the singular of %s is %s, but its row says %s", gr, singular, row.Singular)
			}
			var short, categories []string
			if named, ok := storage.(rest.ShortNamesProvider); ok {
				short = named.ShortNames()
			}
			if grouped, ok := storage.(rest.CategoriesProvider); ok {
				categories = grouped.Categories()
			}
			if !slices.Equal(short, row.ShortNames) || !slices.Equal(categories, row.Categories) {
				t.Errorf("%s is known as %v and in %v, but its row says %v and %v", gr, short, categories, row.ShortNames, row.Categories)
			}
			if _, has := g.Versions[version][row.Resource+"/status"]; has != (row.Status != kinds.NoStatus) {
				t.Errorf("%s in %s has a status: %v, but its row says otherwise", gr, version, has)
			}
		}
	}
}
