package events

import (
	"testing"

	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
)

func TestNewGroup(t *testing.T) {
	t.Parallel()
	if _, err := NewGroup(&group.Group{}); err == nil {
		t.Error("a core group without events is not refused")
	}
	store := &genericregistry.Store{DestroyFunc: func() { t.Error("the store of the core group was destroyed") }}
	g, err := NewGroup(&group.Group{Versions: map[string]map[string]rest.Storage{"v1": {"events": &kinds.REST{Store: store, Row: &kinds.Row{ShortNames: []string{"ev"}}}}}})
	if err != nil || g.Name != "events.k8s.io" || g.System != nil {
		t.Fatalf("got %+v, %v", g, err)
	}
	served := g.Versions["v1"]["events"]
	served.Destroy()
	if short := served.(rest.ShortNamesProvider).ShortNames(); len(short) != 1 {
		t.Errorf("short names %v", short)
	}
	reset := served.(rest.ResetFieldsStrategy).GetResetFields()["events.k8s.io/v1"]
	if reset == nil || reset.Size() != 1 {
		t.Errorf("resets %v, want the annotation %s", reset, logicalcluster.AnnotationKey)
	}
}
