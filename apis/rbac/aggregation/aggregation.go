package aggregation

import (
	"cmp"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Rules returns the aggregated rules of role: the rules of all other roles that one of its selectors matches, in the order of their
// names, each rule once. all is not changed; it may contain role itself, which is skipped. Rules returns an error if role has no
// aggregationRule, or if a selector is malformed.
func Rules(role *rbacv1.ClusterRole, all []*rbacv1.ClusterRole) ([]rbacv1.PolicyRule, error) {
	if role.AggregationRule == nil {
		return nil, fmt.Errorf("aggregating ClusterRole %q: it has no aggregationRule", role.Name)
	}
	ordered := slices.Clone(all)
	slices.SortStableFunc(ordered, func(a, b *rbacv1.ClusterRole) int { return cmp.Compare(a.Name, b.Name) })
	var out []rbacv1.PolicyRule
	for i := range role.AggregationRule.ClusterRoleSelectors {
		selector, err := metav1.LabelSelectorAsSelector(&role.AggregationRule.ClusterRoleSelectors[i])
		if err != nil {
			return nil, fmt.Errorf("aggregating ClusterRole %q: reading selector %d: %w", role.Name, i, err)
		}
		for _, other := range ordered {
			if other.Name == role.Name || !selector.Matches(labels.Set(other.Labels)) {
				continue
			}
			for j := range other.Rules {
				if !contains(out, &other.Rules[j]) {
					out = append(out, *other.Rules[j].DeepCopy())
				}
			}
		}
	}
	return out, nil
}

func contains(rules []rbacv1.PolicyRule, rule *rbacv1.PolicyRule) bool {
	return slices.ContainsFunc(rules, func(r rbacv1.PolicyRule) bool { return apiequality.Semantic.DeepEqual(&r, rule) })
}
