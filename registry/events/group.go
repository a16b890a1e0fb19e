package events

import (
	"fmt"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
)

// NewGroup returns the storage of events.k8s.io over that of the core group, which must have events in v1. It has no system
// store: the server itself writes events of the core group.
func NewGroup(core *group.Group) (*group.Group, error) {
	served, ok := core.Versions["v1"]["events"].(*kinds.REST)
	if !ok {
		return nil, fmt.Errorf("serving %s: the core group has no events", eventsv1.GroupName)
	}
	return &group.Group{
		Name:     eventsv1.GroupName,
		Versions: map[string]map[string]rest.Storage{"v1": {"events": &events{served}}},
	}, nil
}

// events is the storage of core events under another version.
type events struct{ *kinds.REST }

// Destroy implements rest.Storage; the store belongs to the core group, which closes it.
func (e *events) Destroy() {}

// GetResetFields implements rest.ResetFieldsStrategy.
func (e *events) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return kinds.ResetFields([]fieldpath.APIVersion{"events.k8s.io/v1"})
}
