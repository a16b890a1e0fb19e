package server

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/registry/storage"
)

// countingReader counts how often the policy of cluster a is compiled.
type countingReader struct {
	client.Reader
	compiled atomic.Int32
}

func (c *countingReader) List(ctx context.Context, gr schema.GroupResource, scope client.Scope) ([]client.Object, error) {
	if scope.Cluster == "a" && gr == rbacv1.Resource("rolebindings") {
		c.compiled.Add(1)
	}
	return c.Reader.List(ctx, gr, scope)
}

// A refusal makes sure that it knows the newest policy. Writes in other clusters must not make it compile that policy again.
func TestStores_RefusalsCompileOnlyForTheirOwnCluster(t *testing.T) {
	types := kinds.All.NewScheme()
	backend, err := storage.NewBackend(storage.Config{Orphans: true, Client: testserver.RunEtcd(t, nil), Codec: types.StorageCodec})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Destroy)
	s, err := newStores(Config{Scheme: types, Backend: backend})
	if err != nil {
		t.Fatal(err)
	}
	until := func(what string, done func() bool) {
		t.Helper()
		if err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) { return done(), nil }); err != nil {
			t.Fatalf("waiting until %s: %v", what, err)
		}
	}
	until("the caches are filled", func() bool { return backend.Ready() == nil })
	bind := func(cluster logicalcluster.Name, name, who string) {
		t.Helper()
		ctx := genericapirequest.WithNamespace(logicalcluster.WithCluster(t.Context(), cluster), "default")
		if _, err := s.rbac.Unguarded().System["rolebindings"].Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
			Subjects:   []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: who}},
		}, rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	ctx := genericapirequest.WithNamespace(logicalcluster.WithCluster(t.Context(), "a"), "default")
	if _, err := s.rbac.Unguarded().System["roles"].Create(ctx, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "reader", Namespace: "default"},
		Rules:      []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"configmaps"}}},
	}, rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	bind("a", "alice", "alice")

	reader := &countingReader{Reader: s.reader}
	evaluator := policy.New(reader, s.gate(policy.Followed()...))
	go func() { _ = evaluator.Run(t.Context()) }()
	decide := func(who string) authorizer.Decision {
		t.Helper()
		decision, _, err := evaluator.Authorize(t.Context(), "a", authorizer.AttributesRecord{
			User: &user.DefaultInfo{Name: who}, Verb: "get", APIVersion: "v1", Resource: "configmaps", Namespace: "default", ResourceRequest: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		return decision
	}
	until("the policy is kept", func() bool {
		decide("alice")
		before := reader.compiled.Load()
		return decide("alice") == authorizer.DecisionAllow && reader.compiled.Load() == before
	})
	before := reader.compiled.Load()
	for i := range 50 {
		bind("b", fmt.Sprintf("b-%d", i), "mallory")
		if decide("mallory") == authorizer.DecisionAllow {
			t.Fatal("mallory is allowed")
		}
	}
	if n := reader.compiled.Load() - before; n > 1 {
		t.Errorf("50 refusals compiled the policy %d times", n)
	}
	for i := range 20 {
		who := fmt.Sprintf("new-%d", i)
		if decide(who) == authorizer.DecisionAllow {
			t.Errorf("%s is allowed too early", who)
		}
		bind("a", who, who)
		if decide(who) != authorizer.DecisionAllow {
			t.Errorf("%s is refused what was granted before", who)
		}
	}
}
