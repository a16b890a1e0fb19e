package storage

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

func TestCatchUp_SeesEveryWriteAndWhereItWas(t *testing.T) {
	etcd := testserver.RunEtcd(t, nil)
	b := newTestBackend(t, etcd, coreCodec(t))
	s := configMapStore(t, b)
	namespaceStore(t, b) // nobody writes these: their cache learns from etcd's progress alone how far it is
	waitReady(t, b)
	one, two := in(t.Context(), "one"), in(t.Context(), "two")
	catchUp := func(written object) uint64 {
		t.Helper()
		revision, err := b.CatchUp(t.Context(), namespaces, configMaps)
		if err != nil {
			t.Fatal(err)
		}
		if at, err := strconv.ParseUint(written.GetResourceVersion(), 10, 64); err != nil || revision < at {
			t.Fatalf("caught up with revision %d, before %s was written: %v", revision, written.GetResourceVersion(), err)
		}
		return revision
	}
	unchanged := func(cluster logicalcluster.Name, since, until uint64) bool {
		return b.Unchanged(cluster, since, until, namespaces, configMaps)
	}
	last := catchUp(create(t, one, s, configMap("default", "first")))
	for i := range 100 {
		var written object
		switch i % 3 {
		case 0:
			written = create(t, one, s, configMap("default", fmt.Sprintf("new-%d", i)))
		case 1:
			written = update(t, one, s, configMap("default", "first"), func(o object) { o.SetLabels(map[string]string{"i": strconv.Itoa(i)}) })
		default:
			remove(t, one, s, configMap("default", fmt.Sprintf("new-%d", i-2)))
			written = create(t, two, s, configMap("default", fmt.Sprintf("new-%d", i))) // a deletion has no object to read a revision from
		}
		revision := catchUp(written)
		if unchanged("one", last, revision) {
			t.Fatalf("step %d: a write went unnoticed", i)
		}
		if i%3 == 0 {
			found, _ := list(t, one, s, s.key(), apistorage.ListOptions{ResourceVersion: "0", Recursive: true})
			if !slices.Contains(found, id(written)) {
				t.Fatalf("%s is not in the cache, which has %v", id(written), found)
			}
		}
		last = revision
	}
	create(t, two, s, configMap("default", "elsewhere"))
	revision, err := b.CatchUp(t.Context(), namespaces, configMaps)
	if err != nil || revision <= last {
		t.Fatalf("caught up with %d after %d, %v", revision, last, err)
	}
	if !unchanged("one", last, revision) || !unchanged("three", last, revision) || unchanged("two", last, revision) {
		t.Error("a write in one cluster is not told from one in another")
	}
	if unchanged("one", last, revision+1) {
		t.Error("a revision that was not reached is known")
	}
}

func TestCatchUp_TellsWhyNot(t *testing.T) {
	b := newTestBackend(t, testserver.RunEtcd(t, nil), coreCodec(t))
	configMapStore(t, b)
	waitReady(t, b)
	unknown := schema.GroupResource{Resource: "nothings"}
	if _, err := b.CatchUp(t.Context(), unknown); err == nil {
		t.Error("an unknown resource gives no error")
	}
	if b.Unchanged("one", 1, 1, unknown) {
		t.Error("what happens in an unknown resource is known")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.CatchUp(ctx, configMaps); err == nil {
		t.Error("it caught up though nobody waits")
	}
}
