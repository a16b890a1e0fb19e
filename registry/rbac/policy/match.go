package policy

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// Allows reports whether one of rules permits what attrs asks for. It is for rules that are in no role.
func Allows(rules []rbacv1.PolicyRule, attrs authorizer.Attributes) bool { return allows(rules, attrs) }

// allows reports whether one of rules permits what attrs asks for.
func allows(rules []rbacv1.PolicyRule, attrs authorizer.Attributes) bool {
	if !attrs.IsResourceRequest() {
		for i := range rules {
			if covers(rules[i].Verbs, attrs.GetVerb()) && coversPath(rules[i].NonResourceURLs, attrs.GetPath()) {
				return true
			}
		}
		return false
	}
	for i := range rules {
		rule := &rules[i]
		if covers(rule.Verbs, attrs.GetVerb()) &&
			covers(rule.APIGroups, attrs.GetAPIGroup()) &&
			coversResource(rule.Resources, attrs.GetResource(), attrs.GetSubresource()) &&
			(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, attrs.GetName())) {
			return true
		}
	}
	return false
}

// covers reports whether list holds value or "*", which stands for every verb and every API group alike.
func covers(list []string, value string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return s == "*" || s == value })
}

// coversResource reports whether list holds "*", the resource with its subresource, or "*/subresource".
func coversResource(list []string, resource, subresource string) bool {
	for _, s := range list {
		if s == rbacv1.ResourceAll {
			return true
		}
		if subresource == "" {
			if s == resource {
				return true
			}
			continue
		}
		if prefix, ok := strings.CutSuffix(s, "/"+subresource); ok && (prefix == rbacv1.ResourceAll || prefix == resource) {
			return true
		}
	}
	return false
}

// coversPath reports whether list holds path, "*", or a prefix of it that ends in "*".
func coversPath(list []string, path string) bool {
	for _, s := range list {
		if s == path {
			return true
		}
		if prefix, ok := strings.CutSuffix(s, "*"); ok && strings.HasPrefix(path, strings.TrimRight(prefix, "*")) {
			return true
		}
	}
	return false
}
