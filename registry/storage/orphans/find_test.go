package orphans

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"

	"github.com/annex-dev/annex/registry/kinds"
)

const (
	lc      = `{"apiVersion":"core.kcp.io/v1alpha1","kind":"LogicalCluster","metadata":{"name":"cluster"}}`
	object  = `{"metadata":{"name":"x","finalizers":["example.com/hold"]}}`
	crd     = `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"widgets.example.com"},"spec":{"group":"example.com","names":{"plural":"widgets","kind":"Widget"},"scope":"Namespaced","versions":[{"name":"v1","served":true,"storage":true}]}}`
	binding = `{"apiVersion":"apis.kcp.io/v1alpha2","kind":"APIBinding","metadata":{"name":"b"},"status":{"boundResources":[
		{"group":"example.com","resource":"widgets","schema":{"name":"s","UID":"uid","identityHash":"id"}},
		{"group":"tenancy.kcp.io","resource":"workspaces","schema":{"name":"s","UID":"other","identityHash":"root"}}]}}`

	crds     = "/annex/apiextensions.k8s.io/customresourcedefinitions/"
	bindings = "/annex/apis.kcp.io/apibindings/"
	clusters = "/annex/core.kcp.io/logicalclusters/"
	widgets  = "/annex/cr/8/example.com/widgets/"
)

// living are keys that belong to something.
var living = map[string]string{
	clusters + "c1/cluster":                                  lc,
	"/annex/core/namespaces/c1/default":                      object,
	"/annex/core/configmaps/c1/default/a":                    object,
	"/annex/core/namespaces/system:admin/ns":                 object,
	"/annex/core/secrets/system:admin/ns/a":                  object,
	"/annex/annex.dev/what":                                  object, // no key of an object
	crds + "c1/widgets.example.com":                          crd,
	crds + "system:bound-crds/uid":                           crd,
	bindings + "c1/b":                                        binding,
	widgets + "crd/c1/default/w":                             object,
	widgets + "id/c1/default/w":                              object,
	"/annex/tenancy.kcp.io/workspaces/c1/w":                  object,
	"/annex/annex.dev/hostbindings/c1/h":                     object,
	"/annex/annex.dev/retired/c1/widgets.example.com/crd:v1": "{}", // its namespace is the name of a resource
	clusters + "c2/cluster":                                  lc,
	"/annex/core/namespaces/c2/default":                      object,
}

// dead are keys that do not, and why.
var dead = map[string]string{
	"/annex/rbac.authorization.k8s.io/roles/c2/no/x":           `Namespace "no" does not exist`,
	"/annex/core/namespaces/gone/default":                      `LogicalCluster "gone" does not exist`,
	"/annex/core/configmaps/gone/default/a":                    `LogicalCluster "gone" does not exist`,
	"/annex/annex.dev/retired/gone/widgets.example.com/crd:v1": `LogicalCluster "gone" does not exist`,
	"/annex/core/configmaps/c1/gone/a":                         `Namespace "gone" does not exist`,
	"/annex/core/secrets/system:admin/gone/a":                  `Namespace "gone" does not exist`,
	widgets + "crd/c1/w":                                       `widgets.example.com is served with another scope`,
	widgets + "id/c1/w":                                        `widgets.example.com is served with another scope`,
	widgets + "other/c1/default/w":                             `no APIBinding binds widgets.example.com with this identity`,
	widgets + "crd/c2/default/w":                               `CustomResourceDefinition "widgets.example.com" does not exist`,
	widgets + "id/c2/default/w":                                `no APIBinding binds widgets.example.com with this identity`,
	"/annex/tenancy.kcp.io/workspaces/c2/w":                    `no APIBinding binds workspaces.tenancy.kcp.io with this identity`,
}

// Objects in another etcd belong to what the main one has.
func TestFind_Elsewhere(t *testing.T) {
	main, s := fill(t)
	other := testserver.RunEtcd(t, nil)
	t.Cleanup(func() { _ = other.Close() })
	s.Elsewhere = []clientv3.KV{other.KV}
	const gates = "/annex/annex.dev/gates/"
	alive := []string{
		"/annex/core/secrets/c1/default/a", widgets + "crd/c1/default/x", "/annex/version", "/annex/annex.dev/usage/c1/content",
		gates + "c1/logicalclusters/cluster", gates + "c1/namespaces/default", gates + "c1/apibindings/b",
		gates + "c1/customresourcedefinitions/widgets.example.com", gates + "system:admin/namespaces/ns",
	}
	lost := map[string]string{
		"/annex/core/secrets/c1/gone/a":        `Namespace "gone" does not exist`,
		"/annex/core/secrets/gone/default/a":   `LogicalCluster "gone" does not exist`,
		widgets + "other/c1/default/x":         `no APIBinding binds widgets.example.com with this identity`,
		"/annex/annex.dev/usage/gone/content":  `LogicalCluster "gone" does not exist`,
		gates + "c1/namespaces/gone":           `namespaces "gone" does not exist`,
		gates + "gone/logicalclusters/cluster": `logicalclusters "cluster" does not exist`,
		gates + "c1/apibindings/c":             `apibindings "c" does not exist`,
	}
	put := func(etcd *kubernetes.Client, key string) {
		t.Helper()
		if _, err := etcd.KV.Put(t.Context(), key, object); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range alive {
		put(other, key)
	}
	for key := range lost {
		put(other, key)
	}
	found := map[string]Orphan{}
	if err := s.Find(t.Context(), func(o Orphan) error {
		if o.kv == other.KV {
			found["/annex"+o.Key.String()] = o
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for key, reason := range lost {
		if found[key].Reason != reason {
			t.Errorf("%s: got %q, want %q", key, found[key].Reason, reason)
		}
	}
	if len(found) != len(lost) {
		t.Errorf("found %v", slices.Collect(maps.Keys(found)))
	}
	// What comes meanwhile keeps what belongs to it.
	put(main, "/annex/core/namespaces/c1/gone")
	for _, key := range slices.Sorted(maps.Keys(found)) {
		want := key != "/annex/core/secrets/c1/gone/a" && key != gates+"c1/namespaces/gone"
		if done, err := s.Remove(t.Context(), found[key]); err != nil || done != want {
			t.Errorf("removing %s: %v, %v", key, done, err)
		}
	}
	if n := len(keys(t, other)); n != len(alive)+2-1 { // without the meter of c1, from which something was removed
		t.Errorf("%v are left", keys(t, other))
	}
}

func fill(t *testing.T) (*kubernetes.Client, Store) {
	t.Helper()
	etcd := testserver.RunEtcd(t, nil)
	t.Cleanup(func() { _ = etcd.Close() })
	put := func(key, value string) {
		if _, err := etcd.KV.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	for key, value := range living {
		put(key, value)
	}
	for key := range dead {
		put(key, object)
	}
	return etcd, Store{KV: etcd.KV, Prefix: "/annex", Codec: kinds.All.NewScheme().StorageCodec}
}

func keys(t *testing.T, etcd *kubernetes.Client) []string {
	t.Helper()
	resp, err := etcd.KV.Get(t.Context(), "/annex", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, kv := range resp.Kvs {
		found = append(found, string(kv.Key))
	}
	return found
}

func TestFind(t *testing.T) {
	etcd, s := fill(t)
	found := map[string]string{}
	var all []Orphan
	if err := s.Find(t.Context(), func(o Orphan) error {
		found["/annex"+o.Key.String()] = o.Reason
		all = append(all, o)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for key, reason := range dead {
		if found[key] != reason {
			t.Errorf("%s: got %q, want %q", key, found[key], reason)
		}
		delete(found, key)
	}
	if len(found) > 0 {
		t.Errorf("also found %v", found)
	}
	if n := len(keys(t, etcd)); n != len(living)+len(dead) {
		t.Errorf("%d keys after looking", n)
	}
	for _, o := range all {
		if done, err := s.Remove(t.Context(), o); err != nil || !done {
			t.Errorf("%s: %t, %v", o.Key, done, err)
		}
	}
	for _, key := range keys(t, etcd) {
		if _, is := dead[key]; is || living[key] == "" {
			t.Errorf("%s stays", key)
		}
	}
	if n := len(keys(t, etcd)); n != len(living) {
		t.Errorf("%d keys stay", n)
	}
}

// What has come to life, or has changed, since it was found stays.
func TestRemove_OnlyOrphans(t *testing.T) {
	etcd, s := fill(t)
	var all []Orphan
	if err := s.Find(t.Context(), func(o Orphan) error {
		if o.Key.Cluster == "gone" || o.Key.Namespace == "gone" {
			all = append(all, o)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{clusters + "gone/cluster": lc, "/annex/core/configmaps/c1/gone/a": object, "/annex/core/secrets/system:admin/gone/a": object} {
		if _, err := etcd.KV.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	before := keys(t, etcd)
	for _, o := range all {
		if done, err := s.Remove(t.Context(), o); err != nil || done {
			t.Errorf("%s: %t, %v", o.Key, done, err)
		}
	}
	if after := keys(t, etcd); len(all) != 5 || !slices.Equal(before, after) {
		t.Errorf("%d orphans, %d keys of %d stay", len(all), len(after), len(before))
	}
}

// A custom resource that is served again since it was found stays.
func TestRemove_NothingThatIsServedAgain(t *testing.T) {
	for name, tc := range map[string]struct{ orphan, server, value string }{
		"a binding has its identity":   {widgets + "other/c1/default/w", bindings + "c1/later", strings.ReplaceAll(binding, `"id"`, `"other"`)},
		"the definition has its scope": {widgets + "crd/c1/w", crds + "c1/widgets.example.com", strings.ReplaceAll(crd, "Namespaced", "Cluster")},
		"a binding binds a typed one":  {"/annex/tenancy.kcp.io/workspaces/c2/w", bindings + "c2/b", binding},
	} {
		t.Run(name, func(t *testing.T) {
			etcd, s := fill(t)
			var found []Orphan
			if err := s.Find(t.Context(), func(o Orphan) error {
				if "/annex"+o.Key.String() == tc.orphan {
					found = append(found, o)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if _, err := etcd.KV.Put(t.Context(), tc.server, tc.value); err != nil {
				t.Fatal(err)
			}
			if len(found) != 1 {
				t.Fatalf("found %v", found)
			}
			if done, err := s.Remove(t.Context(), found[0]); err != nil || done {
				t.Errorf("%t, %v", done, err)
			}
			if !slices.Contains(keys(t, etcd), tc.orphan) {
				t.Error("it is gone")
			}
		})
	}
}

// What belongs to a definition or a binding that cannot be read must not be taken for an orphan.
func TestFind_StopsAtWhatCannotBeRead(t *testing.T) {
	for _, key := range []string{crds + "c1/widgets.example.com", bindings + "c1/b"} {
		etcd, s := fill(t)
		if _, err := etcd.KV.Put(t.Context(), key, "{not json"); err != nil {
			t.Fatal(err)
		}
		if err := s.Find(t.Context(), func(o Orphan) error { return errors.New("found " + o.Key.String()) }); err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", key, err)
		} else {
			t.Log(err)
		}
	}
}
