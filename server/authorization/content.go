package authorization

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/authentication/admin"
)

// groupLogicalClusterAdmin may enter every cluster. RBAC still decides what its members may do there.
const groupLogicalClusterAdmin = "system:kcp:logical-cluster-admin"

// requirementsSpare reports whether group is a group of administrators that is exempt from required groups.
func requirementsSpare(group string) bool {
	switch group {
	case admin.GroupAdmin, groupLogicalClusterAdmin, "system:kcp:external-logical-cluster-admin", "system:kcp:tenancy:workspace-bootstrapper":
		return true
	}
	return false
}

// requiredGroups denies users who are not in the required groups of the LogicalCluster.
func (c *Authorizer) requiredGroups(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	u := attrs.GetUser()
	if slices.ContainsFunc(policy.Identities(u, cluster), func(u user.Info) bool {
		return isServiceAccount(u) || slices.ContainsFunc(u.GetGroups(), requirementsSpare)
	}) {
		return authorizer.DecisionNoOpinion, "spared", nil
	}
	ok, err := c.Evaluator.RequiredGroups(ctx, u, cluster)
	switch {
	case err != nil:
		return authorizer.DecisionDeny, "the required groups could not be read", err
	case !ok:
		return authorizer.DecisionDeny, "the user is not in the required groups", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// enterable reports whether users may be in a cluster of this phase at all.
func enterable(phase string) bool {
	switch corev1alpha1.LogicalClusterPhaseType(phase) {
	case corev1alpha1.LogicalClusterPhaseInitializing, corev1alpha1.LogicalClusterPhaseReady, corev1alpha1.LogicalClusterPhaseInactive,
		corev1alpha1.LogicalClusterPhaseTerminating, corev1alpha1.LogicalClusterPhaseDeleting:
		return true
	}
	return false
}

// content checks whether the user may enter the cluster at all: verb access on the path /, by the RBAC of that cluster. No opinion
// means that the user may enter, and that the next step decides.
func (c *Authorizer) content(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	u := attrs.GetUser()
	phase, exists, err := c.Clusters.Phase(ctx, cluster)
	if err == nil && exists && (isInactive(phase) || !enterable(phase)) {
		// It may be Ready now, and another server may have reported that.
		phase, exists, err = c.Clusters.PhaseNow(ctx, cluster)
	}
	if err != nil {
		return authorizer.DecisionDeny, unknownPhase, fmt.Errorf("looking up cluster %q: %w", cluster, err)
	}
	decision, reason, err := c.enter(ctx, cluster, u, phase, exists)
	if err != nil || decision == authorizer.DecisionDeny || !isInactive(phase) || servedWhileInactive(attrs) {
		return decision, reason, err
	}
	return authorizer.DecisionDeny, switchedOff, nil
}

// enter decides whether u may be in a cluster of the phase, apart from that it may be switched off.
func (c *Authorizer) enter(ctx context.Context, cluster logicalcluster.Name, u user.Info, phase string, exists bool) (authorizer.Decision, string, error) {
	identities := policy.Identities(u, cluster)
	switch {
	case slices.ContainsFunc(identities, func(u user.Info) bool { return slices.Contains(u.GetGroups(), groupLogicalClusterAdmin) }):
		return authorizer.DecisionNoOpinion, "logical cluster admins enter everywhere", nil
	case !exists:
		return authorizer.DecisionDeny, "the logical cluster does not exist", nil
	case !enterable(phase):
		return authorizer.DecisionDeny, fmt.Sprintf("the logical cluster is in phase %q", phase), nil
	case slices.ContainsFunc(identities, isServiceAccount):
		return authorizer.DecisionNoOpinion, "service accounts may enter their own cluster", nil
	}
	decision, reason, err := c.Evaluator.Authorize(ctx, cluster, authorizer.AttributesRecord{User: u, Verb: "access", Path: "/"})
	if decision == authorizer.DecisionAllow {
		return authorizer.DecisionNoOpinion, reason, nil
	}
	return authorizer.DecisionDeny, "verb access on / is not permitted", err
}

// isServiceAccount reports whether u is the ServiceAccount of a cluster. Clients cannot claim its group:
// authentication drops it from certificates and tokens of users.
func isServiceAccount(u user.Info) bool {
	_, _, err := serviceaccount.SplitUsername(u.GetName())
	return err == nil && slices.Contains(u.GetGroups(), serviceaccount.AllServiceAccountsGroup)
}
