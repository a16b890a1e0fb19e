package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/authentication"
	"github.com/annex-dev/annex/server/virtual"
)

// Authorize implements virtual.Workspace. It allows or denies; nothing else has a say about a virtual endpoint.
func (e *Endpoint) Authorize(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	a, err := e.where(ctx)
	if err != nil {
		return authorizer.DecisionDeny, err.Error(), nil
	}
	who := attrs.GetUser()
	if who == nil {
		return authorizer.DecisionDeny, "the request has no user", nil
	}
	reason := "system:masters may do everything"
	if !policy.Master(who, a.endpoint.Cluster) {
		var decision authorizer.Decision
		if decision, reason, err = e.mayStand(ctx, a, who); decision != authorizer.DecisionAllow {
			return authorizer.DecisionDeny, "no permission to " + e.stage.verb + " workspaces of the WorkspaceType: " + reason, err
		}
	}
	if a.cluster.Empty() || isLogicalClusters(attrs.IsResourceRequest(), attrs.GetAPIGroup(), attrs.GetResource()) {
		return authorizer.DecisionAllow, reason, nil
	}
	return e.mayEnter(ctx, a, attrs)
}

// mayStand decides whether who is an initializer, or a terminator, of the type.
func (e *Endpoint) mayStand(ctx context.Context, a at, who user.Info) (authorizer.Decision, string, error) {
	decision, reason, err := e.Authorizer.Authorize(ctx, a.endpoint.Cluster, authorizer.AttributesRecord{
		User:            who,
		Verb:            e.stage.verb,
		APIGroup:        tenancyv1alpha1.GroupName,
		APIVersion:      tenancyv1alpha1.SchemeGroupVersion.Version,
		Resource:        workspaceTypes.Resource,
		Name:            a.endpoint.Name,
		ResourceRequest: true,
	})
	if err != nil {
		err = fmt.Errorf("looking for the verb %s on the WorkspaceType: %w", e.stage.verb, err)
	}
	return decision, reason, err
}

// mayEnter decides about a request for what the cluster of a contains.
func (e *Endpoint) mayEnter(ctx context.Context, a at, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	entry, err := e.entryOf(ctx, a)
	switch {
	case err != nil:
		return authorizer.DecisionDeny, "the logical cluster or its WorkspaceType could not be read", err
	case entry == nil:
		return authorizer.DecisionDeny, "the logical cluster does not wait for the WorkspaceType, or that does not exist", nil
	case entry.owner != nil:
		return e.Policy.Authorize(virtual.WithoutEndpoint(ctx), actsAs{attrs, entry.owner})
	case len(entry.rules) == 0:
		return authorizer.DecisionDeny, "nobody created the workspace whom an initializer or terminator could act as, and the WorkspaceType permits nothing", nil
	case e.isClosed(attrs):
		return authorizer.DecisionDeny, "only the server writes this status", nil
	case isDiscovery(attrs), policy.Allows(entry.rules, attrs):
		return authorizer.DecisionAllow, "the WorkspaceType permits it", nil
	}
	return authorizer.DecisionDeny, "the WorkspaceType does not permit it", nil
}

// isLogicalClusters reports whether a request is for the LogicalClusters that the virtual workspace shows, and for nothing in a cluster.
func isLogicalClusters(resource bool, group, plural string) bool {
	return resource && schema.GroupResource{Group: group, Resource: plural} == logicalClusters
}

// isClosed reports whether attrs are a write of a status by which the server decides.
func (e *Endpoint) isClosed(attrs authorizer.Attributes) bool {
	return attrs.IsResourceRequest() && attrs.GetSubresource() == "status" && !attrs.IsReadOnly() &&
		e.IsStatusByServer(schema.GroupResource{Group: attrs.GetAPIGroup(), Resource: attrs.GetResource()})
}

// isDiscovery reports whether attrs ask what the cluster serves. Whoever may be in a cluster may know that.
func isDiscovery(attrs authorizer.Attributes) bool {
	if attrs.IsResourceRequest() || attrs.GetVerb() != "get" {
		return false
	}
	return slices.ContainsFunc([]string{"/api", "/apis", "/openapi", "/version"}, func(path string) bool {
		return attrs.GetPath() == path || strings.HasPrefix(attrs.GetPath(), path+"/")
	})
}

// actsAs are attributes of a request that is made as another user.
type actsAs struct {
	authorizer.Attributes
	user user.Info
}

// GetUser implements authorizer.Attributes.
func (a actsAs) GetUser() user.Info { return a.user }

// creatorOf returns the creator of lc as a user of that cluster only; nil if it has none. Groups that only the server gives are left out:
// what they allow is not the creator's to lend.
func creatorOf(lc *corev1alpha1.LogicalCluster) user.Info {
	creator := lc.Spec.CreatedBy
	if creator == nil || creator.Username == "" {
		return nil
	}
	as := &user.DefaultInfo{Name: creator.Username, UID: creator.UID, Extra: map[string][]string{}}
	for _, group := range creator.Groups {
		if group != user.SystemPrivilegedGroup && !authentication.ReservedGroup(group) {
			as.Groups = append(as.Groups, group)
		}
	}
	for key, values := range creator.Extra {
		as.Extra[key] = values
	}
	delete(as.Extra, policy.WarrantKey) // older versions kept them
	// In the place of scopes that the creator had when creating the workspace.
	as.Extra[policy.ScopesKey] = []string{policy.Scope(logicalcluster.From(lc))}
	return as
}
