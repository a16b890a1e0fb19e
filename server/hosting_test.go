package server

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/catalog"
)

var hostBindings = schema.GroupResource{Group: "annex.dev", Resource: "hostbindings"}

func TestHosting_OnlyTheHostWorkspaceServesHostBindings(t *testing.T) {
	h := &hosting{
		Catalog: catalog.New(catalog.Config{Reader: clienttest.NewFake(), IsBound: func(schema.GroupResource) bool { return true }}),
		hosts:   func(cluster logicalcluster.Name) bool { return cluster == "root" },
	}
	for _, look := range []func(context.Context, logicalcluster.Name) (*catalog.Snapshot, error){h.For, h.Refresh, h.For} {
		for cluster, want := range map[logicalcluster.Name]bool{"root": true, "abc": false} {
			snapshot, err := look(t.Context(), cluster)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := snapshot.Lookup(hostBindings); ok != want {
				t.Errorf("%s serves hostbindings: %v, want %v", cluster, ok, want)
			}
		}
	}
	// What the host workspace serves for being it does not change, so no watch on it ends.
	first, err := h.For(t.Context(), "root")
	if err != nil {
		t.Fatal(err)
	}
	second, err := h.Refresh(t.Context(), "root")
	if err != nil {
		t.Fatal(err)
	}
	before, _ := first.Lookup(hostBindings)
	if after, _ := second.Lookup(hostBindings); !before.Same(after) {
		t.Error("a watch on hostbindings is ended")
	}
}
