package group

import (
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
)

// Group is the REST storage of one API group.
type Group struct {
	// Name is the API group, empty for the core group.
	Name string
	// Versions maps a version and a path such as "workspaces" or "workspaces/status" to its storage.
	Versions map[string]map[string]rest.Storage
	// System maps a resource to the store through which the server itself writes: its strategy validates, but keeps status
	// and metadata as they are given. It shares storage and watch cache with the store that users reach.
	System map[string]*genericregistry.Store
}
