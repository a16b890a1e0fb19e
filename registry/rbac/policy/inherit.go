package policy

import (
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/rbac/inheritance"
	"github.com/annex-dev/annex/client"
)

// furthest is how many clusters above one are asked: who makes a chain of thousands of workspaces must not make a refusal expensive.
const furthest = 64

// legacy is the part of the policy of a cluster that counts in the clusters below.
type legacy struct {
	grants *grants
	// roles are the ClusterRoles of the cluster that such bindings may refer to. Those of the system are not here.
	roles map[string][]rbacv1.PolicyRule
}

// leaves returns the legacy of ix, to add to it.
func (ix *index) leaves() *legacy {
	if ix.legacy == nil {
		ix.legacy = &legacy{grants: newGrants(), roles: map[string][]rbacv1.PolicyRule{}}
	}
	return ix.legacy
}

// parentOf returns the cluster above that of a LogicalCluster, unless it takes nothing from there. The owner of a LogicalCluster never changes, and
// is a cluster, not a path, which others may have later.
func parentOf(obj client.Object) (logicalcluster.Name, error) {
	lc, ok := obj.(*corev1alpha1.LogicalCluster)
	if !ok {
		return "", fmt.Errorf("unexpected type %T", obj)
	}
	if lc.Spec.Owner == nil || inheritance.Refuses(lc) {
		return "", nil
	}
	return logicalcluster.Name(lc.Spec.Owner.Cluster), nil
}

// above calls f with each cluster above cluster that leaves it something, the nearest first, until f returns false.
func above(ctx context.Context, see viewer, cluster logicalcluster.Name, f func(parent logicalcluster.Name, seen sight) bool) error {
	seen, err := see(ctx, cluster)
	for range furthest {
		if err != nil {
			return err
		}
		parent := seen.own.parent
		if parent.Empty() {
			return nil
		}
		if seen, err = see(ctx, parent); err == nil && seen.own.legacy != nil && !f(parent, seen) {
			return nil
		}
	}
	return err
}

// inherited returns the rules of the role behind an inherited binding.
func (s sight) inherited(role roleKey) []rbacv1.PolicyRule {
	if s.admin != nil {
		if rules, ok := s.admin.rules[role]; ok {
			return rules
		}
	}
	return s.own.legacy.roles[role.name]
}

// heirs returns who u, who is that in cluster, is to the bindings that cluster inherits from parent: who they are in parent. Whoever is not in
// scope in both clusters is anonymous. So an identity that exists only in cluster, such as that of a user whom somebody impersonates there,
// inherits nothing that parent gives to a user of the same name, and the ServiceAccounts of cluster are not taken for those of parent.
//
// A ServiceAccount of parent is also known by the name that it has everywhere else, as [Abroad] says.
func heirs(u user.Info, cluster, parent logicalcluster.Name) []user.Info {
	if namespace, name, err := serviceaccount.SplitUsername(u.GetName()); err == nil {
		u = Abroad(cluster, namespace, name, u.GetUID())
	}
	there := Effective(u, parent)
	if _, _, err := serviceaccount.SplitUsername(there.GetName()); err == nil && there.GetName() != u.GetName() {
		return []user.Info{there, u}
	}
	return []user.Info{there}
}

// MayInherit reports whether u may use the verb inherit on an object of cluster. A write that a claim allows, see [WithWarrant], ends with the
// cluster that accepted the claim, so it counts for nothing here.
func (e *Evaluator) MayInherit(ctx context.Context, u user.Info, cluster logicalcluster.Name, group, resource, name string) (bool, error) {
	if Master(u, cluster) {
		return true, nil
	}
	decision, _, err := e.Authorize(ctx, cluster, authorizer.AttributesRecord{
		User: u, Verb: inheritance.Verb, APIGroup: group, APIVersion: "*", Resource: resource, Name: name, ResourceRequest: true,
	})
	return decision == authorizer.DecisionAllow, err
}
