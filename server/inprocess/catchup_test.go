package inprocess

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/client"
)

func TestClient_CatchUpSeesEveryWrite(t *testing.T) {
	c, _, _ := newClient(t)
	for i := range 200 {
		name := fmt.Sprintf("new-%d", i)
		created, err := c.Create(t.Context(), configMaps, "one", configMap(name, "value"))
		if err != nil {
			t.Fatal(err)
		}
		// Nobody writes namespaces: their cache learns from etcd's progress alone how far it is.
		revision, err := c.CatchUp(t.Context(), namespaces, configMaps)
		if err != nil {
			t.Fatal(err)
		}
		if written, err := strconv.ParseUint(created.GetResourceVersion(), 10, 64); err != nil || revision < written {
			t.Fatalf("caught up with revision %d, before %s was written: %v", revision, created.GetResourceVersion(), err)
		}
		if _, err := c.Get(t.Context(), configMaps, client.Key{Cluster: "one", Namespace: "default", Name: name}); err != nil {
			t.Fatalf("what was written before is not in the cache: %v", err)
		}
	}
}

func TestClient_CatchUpTellsWhyNot(t *testing.T) {
	c, _, _ := newClient(t)
	if _, err := c.CatchUp(t.Context(), schema.GroupResource{Resource: "nothings"}); !apierrors.IsNotFound(err) {
		t.Errorf("an unknown resource gives %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.CatchUp(ctx, configMaps); err == nil {
		t.Error("it caught up though nobody waits")
	}
}
