package apiexport

import (
	"context"
	"net/http"

	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
)

// acrossConsumers is the answer to requests for all consumers: no server lists what others serve to each of them.
const acrossConsumers = "a resource with virtual storage is served for one consumer at a time"

// virtualStorage returns the virtual storage of gr in export; nil if export stores it, or does not offer it.
func virtualStorage(export *apisv1alpha2.APIExport, gr schema.GroupResource) *apisv1alpha2.ResourceSchemaStorageVirtual {
	for i := range export.Spec.Resources {
		if resource := &export.Spec.Resources[i]; resource.Group == gr.Group && resource.Name == gr.Resource {
			return resource.Storage.Virtual
		}
	}
	return nil
}

// virtualTarget returns what the provider sees of a resource with virtual storage in consumer: the same as the users there, as the provider.
func (e *Endpoint) virtualTarget(req *http.Request, info *genericapirequest.RequestInfo, export *apisv1alpha2.APIExport, gr schema.GroupResource,
	consumer logicalcluster.Name) (serve.Target, error) {
	served, err := serve.Lookup(req.Context(), e.Definitions, consumer, gr, func(r *catalog.Resource) bool { return r.Virtual })
	switch {
	case err != nil:
		return serve.Target{}, apistatus.Internal(err)
	case served == nil || served.Source.Export != client.KeyOf(export):
		return serve.Target{}, apistatus.NotServed()
	}
	return e.Virtual(req, info, consumer, served)
}

// withVirtual returns snapshot with the resources that are served for one consumer at a time, if the request of ctx is for one.
func (e *Endpoint) withVirtual(ctx context.Context, endpoint virtual.Endpoint, export *apisv1alpha2.APIExport, snapshot *catalog.Snapshot) (*catalog.Snapshot, error) {
	if _, single := logicalcluster.FromContext(ctx); !single {
		return snapshot, nil
	}
	var shown []*catalog.Resource
	for _, offered := range export.Spec.Resources {
		v := offered.Storage.Virtual
		if v == nil {
			continue
		}
		resource, err := e.described(ctx, endpoint, export, offered)
		if err != nil {
			return nil, err
		}
		if resource == nil {
			continue
		}
		one := *resource
		one.Virtual, one.Bucket = true, ""
		if apisv1alpha2.IsCached(&v.Reference) {
			one.Verbs = readVerbs
		}
		shown = append(shown, &one)
	}
	if len(shown) == 0 {
		return snapshot, nil
	}
	return snapshot.With(shown...), nil
}
