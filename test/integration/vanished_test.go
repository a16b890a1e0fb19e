package integration

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/test/framework/annex"
)

// A Workspace whose logical cluster is gone, which only damage to etcd can do, is Unavailable: 503 for who may get it, and 403 as ever for others.
func TestVanished_IsNotAvailable(t *testing.T) {
	s := start(t)
	parent := workspace(t, s) // everybody may read the Workspaces in root
	path, cluster := newWorkspace(t, s, parent, "vanished")
	_, below := newWorkspace(t, s, path, "below")
	etcd, key := etcdOf(t, s), "/annex/core.kcp.io/logicalclusters/"+cluster+"/cluster"
	stored, err := etcd.Get(t.Context(), key)
	if err != nil || len(stored.Kvs) != 1 {
		t.Fatalf("%s has %d values: %v", key, stored.Count, err)
	}
	if _, err := etcd.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	// The controller does this after a minute.
	master := s.Config(annex.ContextShardBase)
	master.Host += "/clusters/" + parent
	_, above := annex.Clients(t, master)
	if _, err := above.Resource(workspaces).Patch(t.Context(), "vanished", types.MergePatchType, []byte(`{"status":{"phase":"Unavailable"}}`), metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	_, client := annex.Clients(t, s.Workspace(path))
	annex.Eventually(t, func(ctx context.Context) error {
		_, err := client.Resource(configMaps).Namespace("default").List(ctx, metav1.ListOptions{})
		if !apierrors.IsServiceUnavailable(err) {
			return fmt.Errorf("the administrator gets %w, want 503", err)
		}
		return nil
	})
	_, stranger := annex.Clients(t, s.As(token("stranger"), path))
	if _, err := stranger.Resource(configMaps).Namespace("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a stranger gets %v, want %d", err, http.StatusForbidden)
	}
	// By its name it is none, and a workspace below has a cluster of its own.
	_, byName := annex.Clients(t, s.Workspace(cluster))
	if _, err := byName.Resource(configMaps).Namespace("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("by its name: %v", err)
	}
	for _, address := range []string{path + ":below", below} {
		_, inside := annex.Clients(t, s.Workspace(address))
		if _, err := inside.Resource(configMaps).Namespace("default").List(t.Context(), metav1.ListOptions{}); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	// It is there again as soon as its logical cluster is.
	if _, err := etcd.Put(t.Context(), key, string(stored.Kvs[0].Value)); err != nil {
		t.Fatal(err)
	}
	annex.Eventually(t, func(ctx context.Context) error {
		_, err := client.Resource(configMaps).Namespace("default").List(ctx, metav1.ListOptions{})
		return err
	})
}
