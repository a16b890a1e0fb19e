package rendered

import (
	"testing"

	"go.etcd.io/etcd/client/v3/kubernetes"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/layout"
)

// Objects counts what a list shows, whether it is stored, rendered or deleted.
func TestClient_Objects(t *testing.T) {
	s, c := rendering(t)
	if err := s.make(t.Context(), `{"metadata":{"name":"cluster","uid":"1","annotations":{}}}`, "c1", Made{Values: []string{"a", "b"}}); err != nil {
		t.Fatal(err)
	}
	made := layout.Key{Resource: configMaps, Cluster: "c1", Namespace: "default", Name: "root"}
	check := func(what string, cluster logicalcluster.Name, want int64) {
		t.Helper()
		k := layout.Key{Resource: configMaps, Cluster: cluster, Namespace: "default"}
		list, err := c.List(t.Context(), c.path(k), kubernetes.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := c.Objects(t.Context(), k); err != nil || n != want || int64(len(list.Kvs)) != n {
			t.Errorf("%s: %d are counted, %d are listed, want %d: %v", what, n, len(list.Kvs), want, err)
		}
	}
	check("rendered", "c1", 1)
	check("of another cluster", "c2", 0)
	shown, err := c.Get(t.Context(), c.path(made), kubernetes.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	changed, err := c.OptimisticPut(t.Context(), c.path(made), shown.KV.Value, shown.KV.ModRevision, kubernetes.PutOptions{})
	if err != nil || !changed.Succeeded {
		t.Fatal(changed, err)
	}
	check("stored in the place of a rendered one", "c1", 1)
	another := made
	another.Name = "another"
	if err := put(t.Context(), c, c.path(another), `{"metadata":{"uid":"x"}}`); err != nil {
		t.Fatal(err)
	}
	check("another one", "c1", 2)
	if resp, err := c.OptimisticDelete(t.Context(), c.path(made), changed.Revision, kubernetes.DeleteOptions{}); err != nil || !resp.Succeeded {
		t.Fatal(resp, err)
	}
	check("deleted", "c1", 1)
	if err := put(t.Context(), c, c.path(made), `{"metadata":{"uid":"x"}}`); err != nil {
		t.Fatal(err)
	}
	check("created again", "c1", 2)
}
