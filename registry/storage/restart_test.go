package storage

import (
	"fmt"
	"testing"

	"go.etcd.io/etcd/client/v3/kubernetes"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/registry/storage/watchcache"
)

const (
	restartClusters = 40
	restartNames    = 5
)

// cachedAfterRestart starts a Backend over what is in etcd and counts what its watch caches hold.
func cachedAfterRestart(t *testing.T, client *kubernetes.Client, withoutMarker bool) (typed, custom int) {
	t.Helper()
	b, err := newBackend(Config{Orphans: true, Client: client, Codec: coreCodec(t), CompactionInterval: -1}, func(c *watchcache.Config) { c.WithoutMarker = withoutMarker })
	if err != nil {
		t.Fatal(err)
	}
	defer b.Destroy()
	configMaps, widgets := configMapStore(t, b), widgetStore(t, b)
	waitReady(t, b)
	fromCache := apistorage.ListOptions{Recursive: true, ResourceVersion: "0"}
	found, _ := list(t, everywhere(t.Context()), configMaps, configMaps.root, fromCache)
	typed = len(found)
	found, _ = list(t, everywhere(t.Context()), widgets, widgets.root, fromCache)
	return typed, len(found)
}

// TestRestart_LosesNothingWithEqualNames guards against the worst that stock libraries do here: a reflector that starts by
// WatchList keeps one object of all that share namespace and name, silently.
func TestRestart_LosesNothingWithEqualNames(t *testing.T) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	configMaps, widgets := configMapStore(t, b), widgetStore(t, b)
	for c := range restartClusters {
		ctx := in(t.Context(), fmt.Sprintf("cluster%d", c))
		for n := range restartNames {
			create(t, ctx, configMaps, configMap("default", fmt.Sprintf("same%d", n)))
			create(t, ctx, widgets, widget("default", fmt.Sprintf("same%d", n), "red"))
		}
	}
	b.Destroy()

	const all = restartClusters * restartNames
	if typed, custom := cachedAfterRestart(t, client, false); typed != all || custom != all {
		t.Errorf("after a restart the caches hold %d configmaps and %d widgets, want %d of each", typed, custom, all)
	}
	// The test proves something only while the marker does: without it, objects must be lost.
	if typed, custom := cachedAfterRestart(t, client, true); typed == all || custom == all {
		t.Errorf("without the marker the caches hold %d configmaps and %d widgets of %d: the libraries changed, or this test no longer tests", typed, custom, all)
	} else {
		t.Logf("without the marker %d of %d configmaps and %d of %d widgets are left", typed, all, custom, all)
	}
}
