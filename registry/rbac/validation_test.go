package rbac

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func TestValidation(t *testing.T) {
	get := []string{"get"}
	roleRules := func(rules ...rbacv1.PolicyRule) field.ErrorList {
		return validateRole(&rbacv1.Role{Rules: rules})
	}
	clusterRules := func(rules ...rbacv1.PolicyRule) field.ErrorList {
		return validateClusterRole(&rbacv1.ClusterRole{Rules: rules})
	}
	aggregate := func(selectors ...metav1.LabelSelector) field.ErrorList {
		return validateClusterRole(&rbacv1.ClusterRole{AggregationRule: &rbacv1.AggregationRule{ClusterRoleSelectors: selectors}})
	}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "r"}
	bind := func(ref rbacv1.RoleRef, subjects ...rbacv1.Subject) field.ErrorList {
		return validateClusterRoleBinding(&rbacv1.ClusterRoleBinding{RoleRef: ref, Subjects: subjects})
	}
	bindNamespaced := func(ref rbacv1.RoleRef, subjects ...rbacv1.Subject) field.ErrorList {
		return validateRoleBinding(&rbacv1.RoleBinding{RoleRef: ref, Subjects: subjects})
	}
	for _, tc := range []struct {
		name string
		errs field.ErrorList
		want string // field and type of each error; empty when there is none
	}{
		{"a rule", roleRules(rbacv1.PolicyRule{Verbs: get, APIGroups: []string{""}, Resources: []string{"pods"}}), ""},
		{"no verbs", roleRules(rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}}), "rules[0].verbs FieldValueRequired"},
		{"no groups", roleRules(rbacv1.PolicyRule{Verbs: get, Resources: []string{"pods"}}), "rules[0].apiGroups FieldValueRequired"},
		{"no resources", roleRules(rbacv1.PolicyRule{Verbs: get, APIGroups: []string{""}}), "rules[0].resources FieldValueRequired"},
		{"paths in a namespace", roleRules(rbacv1.PolicyRule{Verbs: get, NonResourceURLs: []string{"/"}}), "rules[0].nonResourceURLs FieldValueInvalid"},
		{"paths", clusterRules(rbacv1.PolicyRule{Verbs: get, NonResourceURLs: []string{"/"}}), ""},
		{"paths and resources", clusterRules(rbacv1.PolicyRule{Verbs: get, NonResourceURLs: []string{"/"}, Resources: []string{"pods"}}), "rules[0].nonResourceURLs FieldValueInvalid"},
		{"aggregation of nothing", aggregate(), "aggregationRule.clusterRoleSelectors FieldValueRequired"},
		{"aggregation", aggregate(metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}), ""},
		{"aggregation by a bad label", aggregate(metav1.LabelSelector{MatchLabels: map[string]string{"a b": "b"}}), "aggregationRule.clusterRoleSelectors[0].matchLabels FieldValueInvalid; aggregationRule.clusterRoleSelectors[0] FieldValueInvalid"},
		{"an empty rule", roleRules(rbacv1.PolicyRule{}), "rules[0].apiGroups FieldValueRequired; rules[0].resources FieldValueRequired; rules[0].verbs FieldValueRequired"},
		{"a binding", bind(ref), ""},
		{"another API group", bind(rbacv1.RoleRef{APIGroup: "x", Kind: "ClusterRole", Name: "r"}), "roleRef.apiGroup FieldValueNotSupported"},
		{"a cluster binding to a Role", bind(rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "r"}), "roleRef.kind FieldValueNotSupported"},
		{"a binding to a Role", bindNamespaced(rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "r"}), ""},
		{"no role", bind(rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole"}), "roleRef.name FieldValueRequired"},
		{"a role that is no path segment", bind(rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "a/b"}), "roleRef.name FieldValueInvalid"},
		{"a user", bind(ref, rbacv1.Subject{Kind: "User", APIGroup: rbacv1.GroupName, Name: "system:anything goes"}), ""},
		{"a user of no group", bind(ref, rbacv1.Subject{Kind: "User", Name: "u"}), "subjects[0].apiGroup FieldValueNotSupported"},
		{"no name", bind(ref, rbacv1.Subject{Kind: "Group", APIGroup: rbacv1.GroupName}), "subjects[0].name FieldValueRequired"},
		{"a service account", bind(ref, rbacv1.Subject{Kind: "ServiceAccount", Namespace: "n", Name: "bot"}), ""},
		{"a service account without namespace", bind(ref, rbacv1.Subject{Kind: "ServiceAccount", Name: "bot"}), "subjects[0].namespace FieldValueRequired"},
		{"a service account without namespace in a namespace", bindNamespaced(ref, rbacv1.Subject{Kind: "ServiceAccount", Name: "bot"}), ""},
		{"a service account with a bad name", bind(ref, rbacv1.Subject{Kind: "ServiceAccount", Namespace: "n", Name: "Bot"}), "subjects[0].name FieldValueInvalid"},
		{"a service account with a group", bind(ref, rbacv1.Subject{Kind: "ServiceAccount", APIGroup: rbacv1.GroupName, Namespace: "n", Name: "bot"}), "subjects[0].apiGroup FieldValueNotSupported"},
		{"an unknown kind", bind(ref, rbacv1.Subject{Kind: "Robot", Name: "x"}), "subjects[0].kind FieldValueNotSupported"},
		{"the same role", validateRefUpdate(ref, ref), ""},
		{"another role", validateRefUpdate(ref, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "x"}), "roleRef FieldValueInvalid"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var all []string
			for _, err := range tc.errs {
				all = append(all, err.Field+" "+string(err.Type))
			}
			if got := strings.Join(all, "; "); got != tc.want {
				t.Errorf("errors = %q (%v), want %q", got, tc.errs, tc.want)
			}
		})
	}
}
