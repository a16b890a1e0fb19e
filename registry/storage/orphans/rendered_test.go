package orphans

import (
	"fmt"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"

	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/rendered"
)

// What is in a namespace that is not stored, because nobody has touched it, belongs to something; what is in a deleted one does not.
func TestFind_WhatIsRendered(t *testing.T) {
	etcd := testserver.RunEtcd(t, nil)
	t.Cleanup(func() { _ = etcd.Close() })
	template := &rendered.Template{Objects: []rendered.Object{
		{Resource: "namespaces", Name: "default", Body: `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"default"}}`},
		{Resource: "namespaces", Name: "deleted", Body: `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"deleted"}}`},
		{Group: "apis.kcp.io", Resource: "apibindings", Name: "b", Body: binding},
	}}
	name, data, err := template.Encode()
	if err != nil {
		t.Fatal(err)
	}
	made := `"annotations":{"` + rendered.Annotation + `":"{\"template\":\"` + name + `\"}"},`
	for key, value := range map[string]string{
		"/annex" + rendered.TemplateRoot + name:   string(data),
		clusters + "c1/cluster":                   strings.Replace(lc, `"metadata":{`, `"metadata":{`+made, 1),
		crds + "system:bound-crds/uid":            crd,
		"/annex/core/configmaps/c1/default/a":     object,
		widgets + "id/c1/default/w":               object,
		"/annex/core/namespaces/c1/deleted":       layout.Tombstone,
		"/annex/core/configmaps/c1/deleted/a":     object,
		"/annex/core/namespaces/gone/kube-system": layout.Tombstone,
	} {
		if _, err := etcd.KV.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{
		"/annex/core/configmaps/c1/deleted/a":     `Namespace "deleted" does not exist`,
		"/annex/core/namespaces/gone/kube-system": `LogicalCluster "gone" does not exist`,
	}
	s := Store{KV: etcd.KV, Prefix: "/annex", Codec: kinds.All.NewScheme().StorageCodec}
	if err := s.Find(t.Context(), func(o Orphan) error {
		key := "/annex" + o.Key.String()
		if want[key] != o.Reason {
			t.Errorf("%s: %q, want %q", key, o.Reason, want[key])
		}
		delete(want, key)
		if done, err := s.Remove(t.Context(), o); err != nil || !done {
			t.Errorf("%s stays: %v", key, err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
}

// There are more namespaces that are not stored than are read at a time.
func TestFind_WhatIsRenderedInManyClusters(t *testing.T) {
	etcd := testserver.RunEtcd(t, nil)
	t.Cleanup(func() { _ = etcd.Close() })
	template := &rendered.Template{Objects: []rendered.Object{
		{Resource: "namespaces", Name: "default", Body: `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"default"}}`},
		{Resource: "namespaces", Name: "other", Body: `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"other"}}`},
	}}
	name, data, err := template.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := etcd.KV.Put(t.Context(), "/annex"+rendered.TemplateRoot+name, string(data)); err != nil {
		t.Fatal(err)
	}
	made := strings.Replace(lc, `"metadata":{`, `"metadata":{"annotations":{"`+rendered.Annotation+`":"{\"template\":\"`+name+`\"}"},`, 1)
	const clustersAtATime = 50
	for cluster := 0; cluster < pageSize; cluster += clustersAtATime {
		var ops []clientv3.Op
		for i := cluster; i < cluster+clustersAtATime; i++ {
			ops = append(ops,
				clientv3.OpPut(fmt.Sprintf("%sc%d/cluster", clusters, i), made),
				clientv3.OpPut(fmt.Sprintf("/annex/core/configmaps/c%d/other/a", i), object))
		}
		if _, err := etcd.KV.Txn(t.Context()).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
	s := Store{KV: etcd.KV, Prefix: "/annex", Codec: kinds.All.NewScheme().StorageCodec}
	found := 0
	if err := s.Find(t.Context(), func(o Orphan) error {
		if found++; found == 1 {
			t.Errorf("%s: %s", o.Key, o.Reason)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if found > 0 {
		t.Errorf("%d objects are said to belong to nothing", found)
	}
}
