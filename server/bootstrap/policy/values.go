package policy

import (
	certificatesv1 "k8s.io/api/certificates/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Groups that the policy binds.
const (
	groupAdmin                = "system:kcp:admin"
	groupBootstrapper         = "system:kcp:tenancy:workspace-bootstrapper"
	groupLogicalClusterAdmin  = "system:kcp:logical-cluster-admin"
	groupExternalClusterAdmin = "system:kcp:external-logical-cluster-admin"
)

// Roles that are referred to from elsewhere.
const (
	// ClusterAdmin may do everything.
	ClusterAdmin = "cluster-admin"
	// issuerDiscovery may read who issues the tokens of ServiceAccounts.
	issuerDiscovery = "system:service-account-issuer-discovery"
	// WorkspaceAccess may enter a workspace, and do nothing else there.
	WorkspaceAccess = "system:kcp:workspace:access"
)

const aggregateTo = "rbac.authorization.k8s.io/aggregate-to-"

// Sets of verbs.
func read() []string     { return []string{"get", "list", "watch"} }
func write() []string    { return []string{"create", "delete", "deletecollection", "patch", "update"} }
func anything() []string { return []string{"*"} }
func readWrite() []string {
	return []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
}

// meta returns the metadata of objects that are created at start, with the labels that Kubernetes uses for them.
func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:        name,
		Labels:      map[string]string{"kubernetes.io/bootstrapping": "rbac-defaults"},
		Annotations: map[string]string{rbacv1.AutoUpdateAnnotationKey: "true"},
	}
}

func role(name string, rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{ObjectMeta: meta(name), Rules: rules}
}

// part returns a role that becomes part of the aggregated role to.
func part(to string, rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
	r := role("system:aggregate-to-"+to, rules...)
	r.Labels[aggregateTo+to] = "true"
	return r
}

// aggregate returns a role that aggregates other roles. The role itself becomes part of the roles in into.
func aggregate(name string, into ...string) *rbacv1.ClusterRole {
	r := role(name)
	for _, to := range into {
		r.Labels[aggregateTo+to] = "true"
	}
	r.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{
		{MatchLabels: map[string]string{aggregateTo + name: "true"}},
	}}
	return r
}

func resources(verbs []string, group string, names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: verbs, APIGroups: []string{group}, Resources: names}
}

func named(verb, group, resource string, names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: []string{verb}, APIGroups: []string{group}, Resources: []string{resource}, ResourceNames: names}
}

// approver returns a role that may approve requests for a signer.
func approver(name, signer string) *rbacv1.ClusterRole {
	return role("system:certificates.k8s.io:"+name, named("approve", certificatesv1.GroupName, "signers", signer))
}

func paths(verb string, urls ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: []string{verb}, NonResourceURLs: urls}
}

func everything() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{resources(anything(), "*", "*"), paths("*", "*")}
}

// bind returns a binding of the ClusterRole called role to groups.
func bind(name, role string, groups ...string) *rbacv1.ClusterRoleBinding {
	b := &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta(name),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
	}
	for _, group := range groups {
		b.Subjects = append(b.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: group})
	}
	return b
}
