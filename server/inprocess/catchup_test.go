package inprocess

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/client/reader"
)

func TestClient_CatchUpSeesEveryWrite(t *testing.T) {
	client, _, _ := newClient(t)
	for i := range 200 {
		name := fmt.Sprintf("new-%d", i)
		created, err := client.Create(t.Context(), configMaps, "one", configMap(name, "value"))
		if err != nil {
			t.Fatal(err)
		}
		// Nobody writes namespaces: their cache learns from etcd's progress alone how far it is.
		revision, err := client.CatchUp(t.Context(), namespaces, configMaps)
		if err != nil {
			t.Fatal(err)
		}
		if written, err := strconv.ParseUint(created.GetResourceVersion(), 10, 64); err != nil || revision < written {
			t.Fatalf("caught up with revision %d, before %s was written: %v", revision, created.GetResourceVersion(), err)
		}
		if _, err := client.Get(t.Context(), configMaps, reader.Key{Cluster: "one", Namespace: "default", Name: name}); err != nil {
			t.Fatalf("what was written before is not in the cache: %v", err)
		}
	}
}

func TestClient_CatchUpTellsWhyNot(t *testing.T) {
	client, _, _ := newClient(t)
	if _, err := client.CatchUp(t.Context(), schema.GroupResource{Resource: "nothings"}); !apierrors.IsNotFound(err) {
		t.Errorf("an unknown resource gives %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.CatchUp(ctx, configMaps); err == nil {
		t.Error("it caught up though nobody waits")
	}
}
