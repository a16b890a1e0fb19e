package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/component-helpers/auth/rbac/validation"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Everything returns the rules of somebody who may do anything.
func Everything() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}},
		{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}},
	}
}

// MayGrant returns nil when u itself holds all of rules in namespace of cluster, cluster-wide when namespace is empty, and may
// therefore give them to others. Otherwise the error says, in words for u, which of them are missing, or is [ErrUnread].
func (e *Evaluator) MayGrant(ctx context.Context, u user.Info, cluster logicalcluster.Name, namespace string, rules []rbacv1.PolicyRule) error {
	if Master(u, cluster) || Warranted(ctx, cluster) {
		return nil
	}
	held, _ := e.RulesFor(ctx, u, cluster, namespace)
	covered, missing := validation.Covers(held, rules)
	if covered {
		return nil
	}
	// Before it says no it makes sure that it knows all that u holds.
	see, err := e.current(ctx)
	if err == nil {
		held, err = e.rulesFor(ctx, see, u, cluster, namespace)
		if covered, missing = validation.Covers(held, rules); covered {
			return nil
		}
	}
	if err != nil {
		klog.FromContext(ctx).Error(err, "Policy could not be read to see what a user may grant", "cluster", cluster)
		return ErrUnread
	}
	lines := make([]string, 0, len(missing))
	for i := range missing {
		lines = append(lines, describe(&missing[i]))
	}
	slices.Sort(lines)
	return fmt.Errorf("user %q (groups=%q) is attempting to grant RBAC permissions not currently held:\n%s",
		u.GetName(), u.GetGroups(), strings.Join(slices.Compact(lines), "\n"))
}

// ErrUnread says that nobody can tell right now what a user holds. Its text may be shown.
var ErrUnread = errors.New("the policy cannot be read right now, try again")

// MayVerb reports whether u may use a verb such as bind or escalate on the role or cluster role called name. It is false when
// that cannot be found out.
func (e *Evaluator) MayVerb(ctx context.Context, u user.Info, cluster logicalcluster.Name, namespace, verb, resource, name string) bool {
	if Master(u, cluster) || Warranted(ctx, cluster) {
		return true
	}
	decision, _, _ := e.Authorize(ctx, cluster, authorizer.AttributesRecord{
		User: u, Verb: verb, Namespace: namespace, Name: name,
		APIGroup: rbacv1.GroupName, APIVersion: "*", Resource: resource, ResourceRequest: true,
	})
	return decision == authorizer.DecisionAllow
}

// Master reports whether u is in system:masters where a request is for cluster; empty when it is for no particular one.
func Master(u user.Info, cluster logicalcluster.Name) bool {
	return u != nil && slices.Contains(u.GetGroups(), user.SystemPrivilegedGroup) && InScope(u, cluster)
}

// describe writes a rule down in one line.
func describe(rule *rbacv1.PolicyRule) string {
	var parts []string
	for _, field := range []struct {
		name   string
		values []string
	}{
		{"APIGroups", rule.APIGroups}, {"Resources", rule.Resources}, {"ResourceNames", rule.ResourceNames},
		{"NonResourceURLs", rule.NonResourceURLs}, {"Verbs", rule.Verbs},
	} {
		if len(field.values) > 0 {
			parts = append(parts, fmt.Sprintf("%s:%q", field.name, field.values))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
