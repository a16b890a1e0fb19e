package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"

	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/scheme"
)

const version = "v1"

func resource(name string) schema.GroupResource {
	return schema.GroupResource{Group: corev1.GroupName, Resource: name}
}

// NewGroup returns the storage of the core group. The error names the store that could not be set up.
func NewGroup(s *scheme.Scheme, getter generic.RESTOptionsGetter) (*group.Group, error) {
	g := &group.Group{Name: corev1.GroupName}
	if err := installNamespaces(g, s, getter); err != nil {
		return nil, err
	}
	if _, err := configMaps().Install(g, s, getter); err != nil {
		return nil, err
	}
	if _, err := secrets().Install(g, s, getter); err != nil {
		return nil, err
	}
	if _, err := serviceAccounts().Install(g, s, getter); err != nil {
		return nil, err
	}
	if _, err := eventKind().Install(g, s, getter); err != nil {
		return nil, err
	}
	if _, err := limitRanges().Install(g, s, getter); err != nil {
		return nil, err
	}
	if _, err := resourceQuotas().Install(g, s, getter); err != nil {
		return nil, err
	}
	return g, nil
}
