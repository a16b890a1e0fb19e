package elsewhere

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual/forward"
)

// Config is what an Endpoint is made of. Everything is required unless it says otherwise.
type Config struct {
	// Cached reads the watch caches, Live sees every acknowledged write.
	Cached, Live client.Reader
	// Content finds the objects that list endpoints.
	Content client.Content
	// Inactive reports, from memory, whether a cluster is switched off.
	Inactive func(cluster logicalcluster.Name) bool
	// Changed is told in which cluster something that requests depend on has changed, so that watches can end.
	Changed func(cluster logicalcluster.Name)
	// Itself reports whether the user in ctx is who was authenticated, and stands in for nobody; authentication.Itself does.
	Itself func(ctx context.Context, u user.Info) bool
	// Forwarder sends requests; nil if the operator does not allow it.
	Forwarder *forward.Forwarder
}

// Endpoint finds out where requests go. It is safe for concurrent use.
type Endpoint struct {
	Config
	followed followed
}

// New returns an Endpoint.
func New(c Config) *Endpoint { return &Endpoint{Config: c} }

// Bound returns the target of a request in consumer for served, which it has bound and which has virtual storage. The request is authorized.
// Errors are API statuses.
func (e *Endpoint) Bound(req *http.Request, info *genericapirequest.RequestInfo, consumer logicalcluster.Name, served *catalog.Served) (serve.Target, error) {
	version := versionOf(served.Resource, info)
	if version == nil {
		return serve.Target{}, apistatus.NotServed()
	}
	from, err := e.sourceOf(req.Context(), served)
	if err != nil {
		return serve.Target{}, err
	}
	return serve.Target{
		Cluster:   consumer,
		Resource:  served.Resource,
		Cataloged: true,
		While: serve.Condition{Cluster: served.Source.Export.Cluster, Holds: func(ctx context.Context) bool {
			now, err := e.sourceOf(ctx, served)
			return err == nil && now.target.String() == from.target.String()
		}},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if err := e.send(w, req, info, consumer, served, version, from); err != nil {
				e.Forwarder.Fail(w, req, err)
			}
		}),
	}, nil
}

// versionOf returns the version of the schema that a request is for; nil if the schema does not have it, or not what the request is for.
func versionOf(resource *catalog.Resource, info *genericapirequest.RequestInfo) *apiextensionsv1.CustomResourceDefinitionVersion {
	if resource.CRD == nil || info.Namespace != "" && !resource.Namespaced {
		return nil
	}
	if resource.Namespaced && info.Namespace == "" && !slices.Contains([]string{"list", "watch"}, info.Verb) {
		return nil
	}
	i := slices.IndexFunc(resource.CRD.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
		return v.Served && v.Name == info.APIVersion
	})
	if i < 0 {
		return nil
	}
	version := &resource.CRD.Spec.Versions[i]
	has := version.Subresources
	switch {
	case info.Subresource == "":
	case info.Subresource == "status" && has != nil && has.Status != nil:
	case info.Subresource == "scale" && has != nil && has.Scale != nil:
	default:
		return nil
	}
	return version
}

// described names a resource with virtual storage in messages.
func described(served *catalog.Served) string {
	return fmt.Sprintf("the server that serves %s for its provider", served.GroupResource())
}
