package storage

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/owners"
	"github.com/annex-dev/annex/registry/storage/rendered"
)

func TestOverrideRoot(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"/secrets":                   "/core/secrets",
		"/events":                    "/core/events",
		"coordination.k8s.io/leases": "/coordination.k8s.io/leases",
		"cr/0":                       "/cr/0",
		"cr/15":                      "/cr/15",

		"":                                "",
		"secrets":                         "",
		"core/secrets":                    "",
		"/secrets/x":                      "",
		"/":                               "",
		"cr/16":                           "",
		"cr/-1":                           "",
		"cr/01":                           "",
		"cr/":                             "",
		"cr/x":                            "",
		"/namespaces":                     "",
		"/configmaps":                     "", // workspaces contain some that are not stored
		"/serviceaccounts":                "",
		"events.k8s.io/events":            "", // not stored under this name
		"core.kcp.io/logicalclusters":     "",
		"tenancy.kcp.io/workspaces":       "",
		"apis.kcp.io/apibindings":         "",
		"apis.kcp.io/apiexports":          "",
		"example.com/widgets":             "",
		"annex.dev/gates":                 "",
		"annex.dev/templates":             "",
		"rbac.authorization.k8s.io/roles": "",
		"apiextensions.k8s.io/customresourcedefinitions": "",
	} {
		root, err := OverrideRoot(name)
		if root != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v; want %q", name, root, err, want)
		}
		if err == nil && overrideName(root) != name {
			t.Errorf("%q is called %q", root, overrideName(root))
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: several lines: %v", name, err)
		}
	}
}

// What is rendered, and what other objects belong to, is in the main etcd.
func TestOverrideRoot_RenderedAndOwnersStay(t *testing.T) {
	t.Parallel()
	for _, gr := range slices.Concat(rendered.Resources, []schema.GroupResource{owners.LogicalClusters, owners.Namespaces, owners.Definitions, owners.Bindings}) {
		if _, err := OverrideRoot(gr.Group + "/" + gr.Resource); err == nil {
			t.Errorf("%s may be in another etcd", gr)
		}
	}
}

func TestPlacement(t *testing.T) {
	t.Parallel()
	etcds := threeEtcds(t)
	secrets, shard, leases := "/core/secrets", layout.ShardRoot(8), "/coordination.k8s.io/leases"
	both := []Elsewhere{{Client: etcds[1], Roots: []string{secrets}}, {Client: etcds[2], Roots: []string{shard}}}
	put := func(etcd int, key, value string) {
		t.Helper()
		if _, err := etcds[etcd].KV.Put(t.Context(), DefaultPrefix+key, value); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(etcd int, key string) {
		t.Helper()
		if _, err := etcds[etcd].KV.Delete(t.Context(), DefaultPrefix+key); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, main int, elsewhere []Elsewhere, want string) {
		t.Helper()
		for _, check := range []func() error{
			func() error { return CheckVersion(t.Context(), etcds[main], "", elsewhere) },
			func() error { return RaiseVersion(t.Context(), etcds[main], "", elsewhere) },
		} {
			err := check()
			var placement *PlacementError
			switch {
			case want == "" && err != nil:
				t.Errorf("%s: %v", what, err)
			case want != "" && (err == nil || !errors.As(err, &placement) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n")):
				t.Errorf("%s: got %v, want an error with %q", what, err, want)
			}
		}
	}

	// One etcd costs nothing more.
	expect("one etcd", 0, nil, "")
	if keys := keysIn(t, etcds[0]); !slices.Equal(keys, []string{"/annex/version"}) {
		t.Errorf("one etcd has %v", keys)
	}
	put(0, "/core/secrets/c1/ns/a", "{}")
	expect("objects that nobody would see", 0, both, "/secrets has objects in the etcd at")
	remove(0, "/core/secrets/c1/ns/a")
	put(1, "/else", "x")
	expect("an etcd with other data", 0, both, "does not belong to this installation")
	remove(1, "/else")
	for i := range etcds {
		if keys := keysIn(t, etcds[i]); i == 0 && !slices.Equal(keys, []string{"/annex/version"}) || i > 0 && len(keys) > 0 {
			t.Errorf("refusing has left %v in etcd %d", keys, i)
		}
	}

	// A look decides nothing; then several replicas start at once.
	if err := CheckVersion(t.Context(), etcds[0], "", both); err != nil {
		t.Error(err)
	}
	if keys := keysIn(t, etcds[1]); len(keys) != 0 {
		t.Errorf("a look has written %v", keys)
	}
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if err := RaiseVersion(t.Context(), etcds[0], "", both); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i, client := range etcds {
		resp, err := client.KV.Get(t.Context(), DefaultPrefix+layout.VersionKey)
		if err != nil || len(resp.Kvs) != 1 || string(resp.Kvs[0].Value) != "3" {
			t.Errorf("etcd %d has version %v, %v: older releases must not use it", i, resp.Kvs, err)
		}
	}
	expect("as before", 0, both, "")
	expect("in another order", 0, []Elsewhere{both[1], both[0]}, "")
	expect("no others", 0, nil, "must be set, because /secrets, cr/8 are not in")
	expect("exchanged", 0, []Elsewhere{{Client: etcds[2], Roots: []string{secrets}}, {Client: etcds[1], Roots: []string{shard}}}, "")
	expect("back again", 0, both, "")
	put(2, shard+"/example.com/widgets/crd/c1/ns/a", "{}")
	expect("exchanged with objects", 0, []Elsewhere{{Client: etcds[2], Roots: []string{secrets}}, {Client: etcds[1], Roots: []string{shard}}}, "cr/8 has objects in the etcd at")
	expect("one more", 0, []Elsewhere{{Client: etcds[1], Roots: []string{secrets, leases}}, both[1]}, "")
	expect("one less", 0, both, "")
	expect("one etcd less", 0, both[:1], "cr/8 is in another etcd than any that is named")
	expect("the main one as another", 0, append([]Elsewhere{{Client: etcds[0], Roots: []string{leases}}}, both...), "is the one of --etcd-servers")
	expect("another as the main one", 1, nil, "has only a part of the data")
	expect("another as the main one", 1, []Elsewhere{both[1]}, "has only a part of the data")
	expect("the same twice", 0, append([]Elsewhere{{Client: etcds[1], Roots: []string{leases}}}, both...), "are the same")
	stranger := runEtcd(t)
	if err := RaiseVersion(t.Context(), stranger, "", nil); err != nil {
		t.Fatal(err)
	}
	if err := RaiseVersion(t.Context(), stranger, "", both[:1]); err == nil || !strings.Contains(err.Error(), "belongs to another installation") {
		t.Errorf("parts of another installation: %v", err)
	}
	put(1, layout.VersionKey, "9")
	var version *VersionError
	if err := CheckVersion(t.Context(), etcds[0], "", both); !errors.As(err, &version) {
		t.Errorf("a newer version in another etcd: %v", err)
	}
	put(1, layout.VersionKey, "3")
	// An etcd that has lost its data is not taken for a new one.
	if _, err := etcds[1].KV.Delete(t.Context(), "/", clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	expect("an empty etcd", 0, both, "/secrets is in another etcd than any that is named")
}
