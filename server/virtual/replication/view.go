package replication

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/registry/storage/filter"
	"github.com/annex-dev/annex/registry/storage/head"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/serve"
)

// readVerbs are what is served.
var readVerbs = []string{"get", "list", "watch"}

// selected shows the objects that a ClusterCachedResource selects.
type selected struct{ selector labels.Selector }

var _ filter.Selecting = selected{}

// Shows implements filter.Filter.
func (s selected) Shows(h head.Head) bool { return s.selector.Matches(labels.Set(h.Labels)) }

// Selector implements filter.Selecting.
func (s selected) Selector() labels.Selector { return s.selector }

// Bound returns the target of a request of consumer for served, a virtual resource that consumer has bound and whose objects a
// ClusterCachedResource shares. The request is authorized. Errors are API statuses.
func (e *Endpoint) Bound(req *http.Request, info *genericapirequest.RequestInfo, consumer logicalcluster.Name, served *catalog.Served) (serve.Target, error) {
	gr := served.GroupResource()
	switch {
	case !slices.Contains(readVerbs, info.Verb):
		return serve.Target{}, readOnly(gr, info)
	case info.Subresource != "" && info.Verb != "get":
		return serve.Target{}, apistatus.NotServed()
	}
	ctx := req.Context()
	from, err := e.sourceOf(ctx, served)
	if err != nil {
		return serve.Target{}, err
	}
	if err := resumes(req, info, from.since); err != nil {
		return serve.Target{}, err
	}
	shown := *served.Resource
	shown.Virtual, shown.Verbs, shown.Terminating, shown.Bucket = false, nil, false, from.bucket
	return serve.Target{
		Cluster:  from.provider,
		Resource: &shown,
		Filter:   selected{from.selector},
		While: serve.Condition{Cluster: consumer, Holds: func(ctx context.Context) bool {
			return !e.Inactive(consumer) && e.stillBound(ctx, consumer, served)
		}},
		Covers: serve.Condition{Cluster: from.provider, Holds: func(ctx context.Context) bool {
			now, err := e.sourceOf(ctx, served)
			return err == nil && now.same(from)
		}},
		Context: func(ctx context.Context) context.Context { return storage.LentTo(ctx, consumer) },
	}, nil
}

// readOnly is the answer to a write.
func readOnly(gr schema.GroupResource, info *genericapirequest.RequestInfo) error {
	refused := apierrors.NewMethodNotSupported(gr, info.Verb)
	refused.ErrStatus.Message += ": the objects are those of the provider, and can only be read here"
	return refused
}

// stillBound reports whether consumer has bound what it had when served was looked up.
func (e *Endpoint) stillBound(ctx context.Context, consumer logicalcluster.Name, served *catalog.Served) bool {
	snapshot, err := e.Catalog.For(ctx, consumer)
	if err != nil {
		return false
	}
	now, ok := snapshot.Served(served.GroupResource())
	return ok && served.Same(now.Resource) && now.Source.Export == served.Source.Export
}

// resumes returns an error for a watch that would go on from before since: perhaps other objects were selected then, and the client has no
// event of that.
func resumes(req *http.Request, info *genericapirequest.RequestInfo, since uint64) error {
	query := req.URL.Query()
	if initial, _ := strconv.ParseBool(query.Get("sendInitialEvents")); info.Verb != "watch" || initial {
		return nil
	}
	// A version that is no number is refused by storage; 0 stands for a list.
	version, err := strconv.ParseUint(query.Get("resourceVersion"), 10, 64)
	if err == nil && version > 0 && version < since {
		return apierrors.NewResourceExpired("what the provider shares has perhaps changed since: list again")
	}
	return nil
}
