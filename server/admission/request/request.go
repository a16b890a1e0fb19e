package request

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

// Groups of identities that work on workspaces for the system. Users cannot be in them.
const (
	// LogicalClusterAdmin manages LogicalClusters within one installation.
	LogicalClusterAdmin = "system:kcp:logical-cluster-admin"
	// ExternalLogicalClusterAdmin manages LogicalClusters from another installation.
	ExternalLogicalClusterAdmin = "system:kcp:external-logical-cluster-admin"
	// WorkspaceBootstrapper fills new workspaces.
	WorkspaceBootstrapper = "system:kcp:tenancy:workspace-bootstrapper"
)

// Authorizer decides by the RBAC of one cluster together with that of system:admin, without checking whether the user may
// enter that cluster. registry/rbac/policy.Evaluator is one.
type Authorizer interface {
	Authorize(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error)
}

// Cluster returns the logical cluster of the request. The error is only for the server's log, because after the front door every write
// has a cluster.
func Cluster(ctx context.Context) (logicalcluster.Name, error) {
	name, ok := logicalcluster.FromContext(ctx)
	if !ok {
		return "", fmt.Errorf("the request names no logical cluster")
	}
	return name, nil
}

// Is reports whether a is for resource itself, not for a subresource.
func Is(a admission.Attributes, resource schema.GroupResource) bool {
	return a.GetResource().GroupResource() == resource && a.GetSubresource() == ""
}

// IsMaster reports whether the user is in system:masters, as the server itself is.
func IsMaster(a admission.Attributes) bool {
	return slices.Contains(a.GetUserInfo().GetGroups(), user.SystemPrivilegedGroup)
}

// IsInternal reports whether the user is one of the identities that work on workspaces for the system.
func IsInternal(a admission.Attributes) bool {
	return slices.ContainsFunc(a.GetUserInfo().GetGroups(), func(g string) bool {
		return g == user.SystemPrivilegedGroup || g == LogicalClusterAdmin || g == ExternalLogicalClusterAdmin || g == WorkspaceBootstrapper
	})
}

// Allowed reports whether the user of a, who sends the request in cluster from, may use verb on an object in cluster in, which
// may be another cluster. Members of system:masters may do everything, and so
// may a provider in the cluster whose permission claim it uses.
func Allowed(ctx context.Context, by Authorizer, a admission.Attributes, from, in logicalcluster.Name, verb string, resource schema.GroupVersionResource, name string) (bool, error) {
	if IsMaster(a) || policy.Warranted(ctx, in) {
		return true, nil
	}
	decision, _, err := by.Authorize(ctx, in, authorizer.AttributesRecord{
		User:            Abroad(a.GetUserInfo(), from, in),
		Verb:            verb,
		APIGroup:        resource.Group,
		APIVersion:      resource.Version,
		Resource:        resource.Resource,
		Name:            name,
		ResourceRequest: true,
	})
	if decision == authorizer.DecisionAllow {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("asking whether %q may %s %s %s in %s: %w", a.GetUserInfo().GetName(), verb, resource.GroupResource(), name, in, err)
	}
	return false, nil
}

// Abroad returns who the user of a request in cluster from is in cluster in. A ServiceAccount whose token the server has checked carries
// its cluster. One without that mark is impersonated, and is valid only in the cluster that allowed the impersonation: elsewhere it must
// count neither as the account of the same name there, nor as the account itself.
func Abroad(u user.Info, from, in logicalcluster.Name) user.Info {
	if _, _, err := serviceaccount.SplitUsername(u.GetName()); err != nil || from == in || len(u.GetExtra()[policy.ClusterNameKey]) > 0 {
		return u
	}
	return &user.DefaultInfo{
		Name:   user.Anonymous,
		Groups: []string{user.AllAuthenticated, policy.ClusterGroupPrefix + from.String()},
		Extra:  map[string][]string{policy.ClusterNameKey: {from.String()}},
	}
}
