package apiexport

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/storage/filter"
	"github.com/annex-dev/annex/registry/storage/head"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
)

// Activity says, from memory, which clusters are switched off.
type Activity interface {
	Inactive(cluster logicalcluster.Name) bool
	// Switched returns the resourceVersion at which a cluster was last switched off or on; 0 when none was.
	Switched() uint64
}

// active shows what is in consumers that are not switched off. Over all consumers it also hides objects that cannot be read, so
// that one of them does not keep a provider from the others.
type active struct{ Activity }

var _ filter.Follower = active{}

// Shows implements filter.Filter.
func (a active) Shows(h head.Head) bool { return !a.Inactive(h.Cluster) }

// Follows implements filter.Follower. The watch ends when a consumer is switched off or on, see covers.
func (a active) Follows(h head.Head, _ bool) (bool, error) { return !h.Damaged && a.Shows(h), nil }

// covers is the condition under which a watch over all consumers of endpoint covers the same ones as now.
func (e *Endpoint) covers(endpoint virtual.Endpoint) serve.Condition {
	before := e.Activity.Switched()
	_, epoch := e.answers.since(client.Key{})
	return serve.Condition{Cluster: endpoint.Cluster, Holds: func(context.Context) bool {
		_, now := e.answers.since(client.Key{})
		return e.Activity.Switched() == before && now == epoch
	}}
}

// resumes returns an error for a watch that would go on from before changed: a consumer was switched off or on then, or answered a
// claim, and the client has no event of that. It does not matter here whose consumer it was.
func (e *Endpoint) resumes(req *http.Request, info *genericapirequest.RequestInfo, changed uint64) error {
	query := req.URL.Query()
	if initial, _ := strconv.ParseBool(query.Get("sendInitialEvents")); info.Verb != "watch" || initial {
		return nil
	}
	// A version that is no number is refused by storage; 0 stands for a list.
	version, err := strconv.ParseUint(query.Get("resourceVersion"), 10, 64)
	if err == nil && version > 0 && version < changed {
		return apierrors.NewResourceExpired("what consumers show has changed since: list again")
	}
	return nil
}

// Providers returns the clusters whose exports are bound in consumer.
func Providers(ctx context.Context, from client.Reader, consumer logicalcluster.Name) ([]logicalcluster.Name, error) {
	all, err := client.List[apisv1alpha2.APIBinding](ctx, from, bindings, client.Scope{Cluster: consumer})
	if err != nil {
		return nil, fmt.Errorf("finding the providers of %s: %w", consumer, err)
	}
	var providers []logicalcluster.Name
	for _, binding := range all {
		if provider := binding.Status.APIExportClusterName; provider != "" {
			providers = append(providers, logicalcluster.Name(provider))
		}
	}
	return providers, nil
}
