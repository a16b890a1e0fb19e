package check

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

// listing is the host's list of all APIs, the document from which kubectl learns them. The host refreshes it after it has marked an
// APIService as available.
type listing struct {
	// groupVersions are the group versions in the list.
	groupVersions map[schema.GroupVersion]bool
	// faults are by group version, if the host lists it without its resources.
	faults map[schema.GroupVersion]error
	// err is why there is no list.
	err error
}

func newListing(ctx context.Context, client *rest.RESTClient) listing {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, errors.New("no answer within "+answerTimeout.String()))
	defer cancel()
	groups, _, faults, err := discovery.NewDiscoveryClient(client).GroupsAndMaybeResourcesWithContext(ctx)
	if err != nil {
		return listing{err: err}
	}
	list := listing{groupVersions: map[schema.GroupVersion]bool{}, faults: faults}
	for _, group := range groups.Groups {
		for _, version := range group.Versions {
			list.groupVersions[schema.GroupVersion{Group: group.Name, Version: version.Version}] = true
		}
	}
	return list
}

// fault returns why kubectl does not find the group version, as text; empty if it does.
func (l listing) fault(gv schema.GroupVersion) string {
	switch {
	case l.err != nil:
		return "reading the host's list of APIs: " + explain(l.err)
	case l.faults[gv] != nil:
		return "kubectl does not find its resources yet: the host's list of APIs is out of date"
	case !l.groupVersions[gv]:
		return "kubectl does not find it yet: the host's list of APIs does not have it"
	}
	return ""
}
