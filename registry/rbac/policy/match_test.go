package policy

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

func resourceRule(verbs, groups, resources []string, names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: verbs, APIGroups: groups, Resources: resources, ResourceNames: names}
}

func pathRule(verbs []string, paths ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: verbs, NonResourceURLs: paths}
}

// The cases are the rules of the RBAC reference of Kubernetes, one by one.
func TestAllows_RuleSemantics(t *testing.T) {
	resource := func(verb, group, resource, subresource, name string) authorizer.AttributesRecord {
		return authorizer.AttributesRecord{Verb: verb, APIGroup: group, Resource: resource, Subresource: subresource, Name: name, ResourceRequest: true}
	}
	path := func(verb, path string) authorizer.AttributesRecord {
		return authorizer.AttributesRecord{Verb: verb, Path: path}
	}
	list := func(s ...string) []string { return s }

	for _, tc := range []struct {
		name string
		rule rbacv1.PolicyRule
		attr authorizer.AttributesRecord
		want bool
	}{
		{"same verb, group and resource", resourceRule(list("get"), list(""), list("secrets")), resource("get", "", "secrets", "", "a"), true},
		{"other verb", resourceRule(list("get"), list(""), list("secrets")), resource("list", "", "secrets", "", ""), false},
		{"other group", resourceRule(list("get"), list("apps"), list("secrets")), resource("get", "", "secrets", "", "a"), false},
		{"other resource", resourceRule(list("get"), list(""), list("secrets")), resource("get", "", "configmaps", "", "a"), false},
		{"any verb", resourceRule(list("*"), list(""), list("secrets")), resource("deletecollection", "", "secrets", "", ""), true},
		{"any group", resourceRule(list("get"), list("*"), list("widgets")), resource("get", "example.com", "widgets", "", "a"), true},
		{"any resource", resourceRule(list("get"), list(""), list("*")), resource("get", "", "secrets", "", "a"), true},
		{"any resource includes subresources", resourceRule(list("get"), list(""), list("*")), resource("get", "", "pods", "log", "a"), true},
		{"a resource does not include its subresources", resourceRule(list("get"), list(""), list("pods")), resource("get", "", "pods", "log", "a"), false},
		{"a subresource", resourceRule(list("get"), list(""), list("pods/log")), resource("get", "", "pods", "log", "a"), true},
		{"a subresource does not include the resource", resourceRule(list("get"), list(""), list("pods/log")), resource("get", "", "pods", "", "a"), false},
		{"a subresource of anything", resourceRule(list("update"), list("*"), list("*/scale")), resource("update", "apps", "deployments", "scale", "a"), true},
		{"another subresource of anything", resourceRule(list("update"), list("*"), list("*/scale")), resource("update", "apps", "deployments", "status", "a"), false},
		{"a star for subresources is no wildcard", resourceRule(list("get"), list(""), list("pods/*")), resource("get", "", "pods", "log", "a"), false},
		{"a suffix of a resource is another resource", resourceRule(list("get"), list(""), list("ods/log")), resource("get", "", "pods", "log", "a"), false},
		{"the name given", resourceRule(list("get"), list(""), list("secrets"), "a", "b"), resource("get", "", "secrets", "", "b"), true},
		{"another name", resourceRule(list("get"), list(""), list("secrets"), "a"), resource("get", "", "secrets", "", "c"), false},
		{"names never permit a create without a name", resourceRule(list("create"), list(""), list("secrets"), "a"), resource("create", "", "secrets", "", ""), false},
		{"a star is no wildcard for names", resourceRule(list("get"), list(""), list("secrets"), "*"), resource("get", "", "secrets", "", "a"), false},
		{"no verb", resourceRule(nil, list("*"), list("*")), resource("get", "", "secrets", "", "a"), false},
		{"no group", resourceRule(list("*"), nil, list("*")), resource("get", "", "secrets", "", "a"), false},
		{"no resource", resourceRule(list("*"), list("*"), nil), resource("get", "", "secrets", "", "a"), false},
		{"verbs are not prefixes", resourceRule(list("delete"), list(""), list("secrets")), resource("deletecollection", "", "secrets", "", ""), false},

		{"a path", pathRule(list("get"), "/metrics"), path("get", "/metrics"), true},
		{"a path below it", pathRule(list("get"), "/metrics"), path("get", "/metrics/slis"), false},
		{"a path by prefix", pathRule(list("get"), "/metrics/*"), path("get", "/metrics/slis"), true},
		{"a prefix leaves out what is above", pathRule(list("get"), "/metrics/*"), path("get", "/metrics"), false},
		{"a prefix without slash", pathRule(list("get"), "/met*"), path("get", "/metrics"), true},
		{"any path", pathRule(list("get"), "*"), path("get", "/anything"), true},
		{"another verb on a path", pathRule(list("get"), "*"), path("post", "/anything"), false},
		{"a star in the middle is no wildcard", pathRule(list("get"), "/a/*/b"), path("get", "/a/x/b"), false},
		{"resource rules do not permit paths", resourceRule(list("*"), list("*"), list("*")), path("get", "/metrics"), false},
		{"path rules do not permit resources", pathRule(list("*"), "*"), resource("get", "", "secrets", "", "a"), false},
		{"entering a workspace", pathRule(list("access"), "/"), path("access", "/"), true},
		{"getting the root path is not entering", pathRule(list("get"), "/"), path("access", "/"), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := allows([]rbacv1.PolicyRule{tc.rule}, tc.attr); got != tc.want {
				t.Errorf("allows() = %t, want %t", got, tc.want)
			}
		})
	}
}
