package sharing

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client/reader"
)

var (
	apiExports     = apisv1alpha2.Resource("apiexports")
	apiBindings    = apisv1alpha2.Resource("apibindings")
	schemas        = apisv1alpha1.Resource("apiresourceschemas")
	endpointSlices = apisv1alpha1.Resource("apiexportendpointslices")
	crds           = schema.GroupResource{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}
)

// Authorizer decides by the RBAC of one cluster, whether or not the user may enter it.
type Authorizer interface {
	Authorize(ctx context.Context, cluster logicalcluster.Name, attributes authorizer.Attributes) (authorizer.Decision, string, error)
}

// Resolver finds the logical cluster behind a path or a name.
type Resolver interface {
	// Resolve returns the name of the cluster at path; false when there is none.
	Resolve(ctx context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error)
}

// Config is what the plugins need.
type Config struct {
	Authorizer Authorizer
	Resolver   Resolver
	// Cached reads exports fast, Live as of now: it is asked before an export counts as missing.
	Cached, Live reader.Reader
}

// New returns the plugins in the order in which they run. They need no initialization and start nothing.
func New(c Config) []admission.Interface {
	handler := admission.NewHandler(admission.Create, admission.Update)
	return []admission.Interface{
		&reservedGroups{Handler: handler},
		&exportPlugin{Handler: handler},
		&bindingPlugin{Handler: handler, exports: exports{c}},
		&endpointSlicePlugin{Handler: admission.NewHandler(admission.Create), exports: exports{c}},
	}
}

// exports answers who may use which export.
type exports struct{ Config }

// resolve returns the cluster that path stands for in an object of cluster; empty when there is none.
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

// mayBind reports whether who may bind the export called name in cluster: it must exist, and who must have the verb bind on
// it there. Errors are API statuses.
func (e exports) mayBind(ctx context.Context, who user.Info, cluster logicalcluster.Name, name string) (bool, error) {
	if cluster.Empty() || name == "" {
		return false, nil
	}
	// The permission first: who has none must not learn from the time it takes whether the export exists.
	if !isMasters(who) {
		decision, _, err := e.Authorizer.Authorize(ctx, cluster, authorizer.AttributesRecord{
			User:            who,
			Verb:            "bind",
			APIGroup:        apisv1alpha2.GroupName,
			APIVersion:      apisv1alpha2.SchemeGroupVersion.Version,
			Resource:        apiExports.Resource,
			Name:            name,
			ResourceRequest: true,
		})
		if err != nil && decision != authorizer.DecisionAllow {
			return false, apierrors.NewInternalError(fmt.Errorf("looking for permission to bind: %w", err))
		}
		if decision != authorizer.DecisionAllow {
			return false, nil
		}
	}
	key := reader.Key{Cluster: cluster, Name: name}
	for _, from := range []reader.Reader{e.Cached, e.Live} {
		_, err := from.Get(ctx, apiExports, key)
		if err == nil {
			return true, nil
		}
		if !apierrors.IsNotFound(err) {
			return false, apierrors.NewInternalError(fmt.Errorf("reading the APIExport: %w", err))
		}
	}
	return false, nil
}

func isMasters(who user.Info) bool {
	return who != nil && slices.Contains(who.GetGroups(), user.SystemPrivilegedGroup)
}

// concerns reports whether a is about whole objects of resource.
func concerns(a admission.Attributes, resource schema.GroupResource) bool {
	return a.GetSubresource() == "" && a.GetResource().GroupResource() == resource
}

// clusterOf returns the cluster of the request; without one it is refused.
func clusterOf(ctx context.Context, a admission.Attributes) (logicalcluster.Name, error) {
	cluster, ok := logicalcluster.FromContext(ctx)
	if !ok {
		return "", admission.NewForbidden(a, errors.New("the request names no workspace"))
	}
	return cluster, nil
}
