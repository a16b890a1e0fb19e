package integration

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/test/framework/annex"
)

// keysOf counts the keys in the server's own etcd that hold one of names.
func keysOf(ctx context.Context, t *testing.T, client *clientv3.Client, names ...string) int {
	t.Helper()
	all, err := client.Get(ctx, "/annex/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, kv := range all.Kvs {
		for _, name := range names {
			if strings.Contains(string(kv.Key), "/"+name+"/") || strings.HasSuffix(string(kv.Key), "/"+name) {
				count++
			}
		}
	}
	return count
}

// etcdOf returns a client of the server's own etcd.
func etcdOf(t *testing.T, s *annex.Server) *clientv3.Client {
	t.Helper()
	sockets, err := filepath.Glob(filepath.Join(s.Dir(), "etcd-server", "member", "*.sock"))
	if err != nil || len(sockets) != 1 {
		t.Fatalf("the socket of the embedded etcd is not beside its data: %v, %v", sockets, err)
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + sockets[0]}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestBadInput_DeletingAWorkspaceThatHoldsEverything(t *testing.T) {
	s := start(t)
	client := etcdOf(t, s)

	producer := workspace(t, s)
	apply(t, s.Workspace(producer), widgetSchema)
	apply(t, s.Workspace(producer), widgetExport)
	name := uniqueName("ws")
	path, cluster := newWorkspace(t, s, "root", name)
	child, childCluster := newWorkspace(t, s, path, "child")
	_, grandchild := newWorkspace(t, s, child, "child")
	for _, at := range []string{path, child} {
		config := s.Workspace(at)
		apply(t, config, gadgetCRD)
		apply(t, config, binding("widgets", producer, "widgets"))
		_, untyped := annex.Clients(t, config)
		waitCondition(t, untyped.Resource(bindings), "widgets", "Ready", "True", "")
		for i := range 20 {
			apply(t, config, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm-%d, namespace: default}", i))
		}
		create(t, untyped.Resource(gadgets).Namespace("default"), parse(t, "apiVersion: example.org/v1\nkind: Gadget\nmetadata: {name: a, namespace: default, finalizers: [example.com/hold]}"))
		create(t, untyped.Resource(widgets).Namespace("default"), parse(t, "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a, namespace: default, finalizers: [example.com/hold]}"))
	}
	ctx := t.Context()
	if before := keysOf(ctx, t, client, cluster, childCluster, grandchild); before < 50 {
		t.Fatalf("%d keys before the deletion", before)
	}
	_, parent := annex.Clients(t, s.Workspace("root"))
	if err := parent.Resource(workspaces).Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	release := []byte(`{"metadata":{"finalizers":null}}`)
	for _, at := range []string{childCluster, cluster} {
		config := s.Config(annex.ContextShardBase)
		config.Host = s.URL() + "/clusters/" + at
		_, held := annex.Clients(t, config)
		eventually(t, "the ConfigMaps of "+at+" are gone and what has a finalizer waits", func(ctx context.Context) (bool, error) {
			gadget, err := held.Resource(gadgets).Namespace("default").Get(ctx, "a", metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			widget, err := held.Resource(widgets).Namespace("default").Get(ctx, "a", metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			return gadget.GetDeletionTimestamp() != nil && widget.GetDeletionTimestamp() != nil, nil
		})
		if _, err := parent.Resource(workspaces).Get(ctx, name, metav1.GetOptions{}); err != nil {
			t.Fatalf("the workspace does not wait for its contents: %v", err)
		}
		if _, err := held.Resource(gadgets).Namespace("default").Patch(ctx, "a", types.MergePatchType, release, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := held.Resource(widgets).Namespace("default").Patch(ctx, "a", types.MergePatchType, release, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the workspace is gone", func(ctx context.Context) (bool, error) {
		_, err := parent.Resource(workspaces).Get(ctx, name, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return false, err
		}
		return apierrors.IsNotFound(err), nil
	})
	eventually(t, "no key is left", func(ctx context.Context) (bool, error) {
		return keysOf(ctx, t, client, cluster, childCluster, grandchild) == 0, nil
	})
}
