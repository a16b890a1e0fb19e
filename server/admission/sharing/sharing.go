package sharing

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/admission/tree"
	"github.com/annex-dev/annex/server/apistatus"
)

var (
	apiExports     = apisv1alpha2.Resource("apiexports")
	apiBindings    = apisv1alpha2.Resource("apibindings")
	schemas        = apisv1alpha1.Resource("apiresourceschemas")
	conversions    = apisv1alpha1.Resource("apiconversions")
	endpointSlices = apisv1alpha1.Resource("apiexportendpointslices")
	reports        = annexv1alpha1.Resource("apichangereports")
	migrations     = annexv1alpha1.Resource("apistoragemigrations")
	hostBindings   = annexv1alpha1.Resource("hostbindings")
	rollouts       = annexv1alpha1.Resource("apiexportrollouts")
	crds           = schema.GroupResource{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}
)

// Config contains the dependencies of the plugins.
type Config struct {
	Authorizer request.Authorizer
	Resolver   tree.Resolver
	// Cached reads exports fast. Live reads their current state; it is read before an export counts as missing.
	Cached, Live client.Reader
}

// New returns the plugins in the order in which they run. They need no initialization and start nothing.
func New(c Config) []admission.Interface {
	handler := admission.NewHandler(admission.Create, admission.Update)
	return []admission.Interface{
		&reservedGroups{Handler: handler},
		&publishPlugin{Handler: handler, authorizer: c.Authorizer},
		&exportPlugin{Handler: handler},
		&evolutionPlugin{Handler: handler, Config: c},
		&rolloutChangePlugin{Handler: admission.NewHandler(admission.Update), exports: exports{c}},
		&rolloutPlugin{Handler: admission.NewHandler(admission.Create, admission.Update, admission.Delete), exports: exports{c}},
		&reportPlugin{Handler: handler, exports: exports{c}},
		&migrationPlugin{Handler: handler, exports: exports{c}},
		&schemaPlugin{Handler: admission.NewHandler(admission.Delete), exports: exports{c}},
		&conversionPlugin{Handler: handler, Config: c},
		&conversionUsePlugin{Handler: admission.NewHandler(admission.Delete), exports: exports{c}},
		&bindingPlugin{Handler: handler, exports: exports{c}},
		&hostBindingPlugin{Handler: handler, exports: exports{c}},
		&endpointSlicePlugin{Handler: admission.NewHandler(admission.Create), exports: exports{c}},
		&cachedPlugin{Handler: handler, exports: exports{c}},
		&cachedSlicePlugin{Handler: admission.NewHandler(admission.Create), exports: exports{c}},
	}
}

// exports decides who may use which export.
type exports struct{ Config }

// resolve returns the cluster at path, as written in an object of cluster; empty if there is none.
func (e exports) resolve(ctx context.Context, cluster logicalcluster.Name, path string) (logicalcluster.Name, error) {
	if path == "" {
		return cluster, nil
	}
	found, ok, err := e.Resolver.Resolve(ctx, logicalcluster.Path(path))
	if err != nil {
		return "", apierrors.NewServiceUnavailable(fmt.Sprintf("the workspace %q cannot be looked up right now, try again", path))
	}
	if !ok {
		return "", nil
	}
	return found, nil
}

// mayBind reports whether the user of a, a request in cluster from, may bind the export called name in cluster: it must exist,
// and the user must have the verb bind on it there. Errors are API statuses.
func (e exports) mayBind(ctx context.Context, a admission.Attributes, from, cluster logicalcluster.Name, name string) (bool, error) {
	if cluster.Empty() || name == "" {
		return false, nil
	}
	// Check the permission first, so that the response time does not reveal whether the export exists.
	allowed, err := request.Allowed(ctx, e.Authorizer, a, from, cluster, "bind", apisv1alpha2.SchemeGroupVersion.WithResource(apiExports.Resource), name)
	if err != nil {
		return false, apistatus.Internal(err)
	}
	if !allowed {
		return false, nil
	}
	export, err := client.FindNow[apisv1alpha2.APIExport](ctx, e.Cached, e.Live, apiExports, client.Key{Cluster: cluster, Name: name})
	if err != nil {
		return false, apistatus.Internal(err)
	}
	return export != nil, nil
}

// clusterOf returns the cluster of the request, or a Forbidden error if there is none.
func clusterOf(ctx context.Context, a admission.Attributes) (logicalcluster.Name, error) {
	cluster, ok := logicalcluster.FromContext(ctx)
	if !ok {
		return "", admission.NewForbidden(a, errors.New("the request names no workspace"))
	}
	return cluster, nil
}
