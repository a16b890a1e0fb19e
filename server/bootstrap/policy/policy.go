package policy

import (
	certificatesv1 "k8s.io/api/certificates/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/rbac/aggregation"
	"github.com/annex-dev/annex/client"
)

// SystemAdmin returns the objects of system:admin, new ones at each call. Aggregated roles already have their rules.
func SystemAdmin() []client.Object {
	roles := append(kubernetesRoles(), kcpRoles()...)
	// A role that is part of another role comes before it.
	for _, r := range roles {
		if r.AggregationRule == nil {
			continue
		}
		if rules, err := aggregation.Rules(r, roles); err == nil { // the selectors are our own and tested
			r.Rules = rules
		}
	}
	var out []client.Object
	for _, r := range roles {
		out = append(out, r)
	}
	for _, b := range []*rbacv1.ClusterRoleBinding{
		bind(ClusterAdmin, ClusterAdmin, user.SystemPrivilegedGroup),
		bind("system:discovery", "system:discovery", user.AllAuthenticated),
		bind("system:basic-user", "system:basic-user", user.AllAuthenticated),
		bind("system:annex:self-explanation", "system:annex:self-explanation", user.AllAuthenticated), // about others takes more, see registry/authorization
		bind("system:public-info-viewer", "system:public-info-viewer", user.AllAuthenticated, user.AllUnauthenticated),

		bind(issuerDiscovery, issuerDiscovery, serviceaccount.AllServiceAccountsGroup),

		bind("system:kcp:admin:cluster-admin", ClusterAdmin, groupAdmin),
		bind(groupBootstrapper, groupBootstrapper, groupBootstrapper),
		bind(groupLogicalClusterAdmin, groupLogicalClusterAdmin, groupLogicalClusterAdmin),
		bind(groupExternalClusterAdmin, groupExternalClusterAdmin, groupExternalClusterAdmin),
	} {
		out = append(out, b)
	}
	return out
}

// kubernetesRoles are the default roles of Kubernetes for the resources that are served here.
func kubernetesRoles() []*rbacv1.ClusterRole {
	const core = ""
	return []*rbacv1.ClusterRole{
		role(ClusterAdmin, everything()...),
		role("system:discovery", paths("get", "/livez", "/readyz", "/healthz", "/version", "/version/",
			"/openapi", "/openapi/*", "/api", "/api/*", "/apis", "/apis/*")),
		role("system:basic-user",
			resources([]string{"create"}, "authorization.k8s.io", "selfsubjectaccessreviews", "selfsubjectrulesreviews"),
			resources([]string{"create"}, "authentication.k8s.io", "selfsubjectreviews")),
		role("system:annex:self-explanation", resources([]string{"create"}, "annex.dev", "accessexplanations")),
		role("system:public-info-viewer", paths("get", "/livez", "/readyz", "/healthz", "/version", "/version/")),
		role(issuerDiscovery, paths("get", "/.well-known/openid-configuration", "/.well-known/openid-configuration/",
			"/openid/v1/jwks", "/openid/v1/jwks/")),

		approver("legacy-unknown-approver", "kubernetes.io/legacy-unknown"),
		approver("kubelet-serving-approver", certificatesv1.KubeletServingSignerName),
		approver("kube-apiserver-client-approver", certificatesv1.KubeAPIServerClientSignerName),
		approver("kube-apiserver-client-kubelet-approver", certificatesv1.KubeAPIServerClientKubeletSignerName),

		aggregate("view", "edit"),
		aggregate("edit", "admin"),
		aggregate("admin"),
		part("admin",
			resources([]string{"create"}, "authorization.k8s.io", "localsubjectaccessreviews"),
			resources(readWrite(), rbacv1.GroupName, "roles", "rolebindings")),
		part("edit",
			resources(read(), core, "secrets"),
			resources([]string{"impersonate"}, core, "serviceaccounts"),
			resources([]string{"create"}, core, "serviceaccounts/token"),
			resources(write(), core, "configmaps", "secrets", "serviceaccounts", "events"),
			resources(readWrite(), "coordination.k8s.io", "leases")),
		part("view",
			resources(read(), core, "configmaps", "serviceaccounts", "events", "limitranges", "resourcequotas", "resourcequotas/status",
				"namespaces", "namespaces/status"),
			resources(read(), "events.k8s.io", "events"),
			resources(read(), "coordination.k8s.io", "leases")),
	}
}

// kcpRoles are the roles of kcp that apply in every logical cluster.
func kcpRoles() []*rbacv1.ClusterRole {
	const tenancy, core, apis = "tenancy.kcp.io", "core.kcp.io", "apis.kcp.io"
	return []*rbacv1.ClusterRole{
		role(WorkspaceAccess, paths("access", "/")),
		role("system:kcp:tenancy:reader",
			resources(read(), tenancy, "workspaces", "workspacetypes"),
			resources(read(), core, "logicalclusters")),
		role("system:kcp:metrics-reader", paths("get", "/metrics")),
		role(groupBootstrapper, everything()...),
		role(groupLogicalClusterAdmin,
			resources(anything(), core, "logicalclusters", "logicalclusters/status"),
			resources([]string{"delete", "get", "update"}, tenancy, "workspaces"),
			paths("access", "/")),
		role(groupExternalClusterAdmin,
			resources([]string{"delete", "get", "update"}, core, "logicalclusters", "logicalclusters/status"),
			resources([]string{"delete", "get", "patch", "update"}, tenancy, "workspaces"),
			resources([]string{"get"}, "", "serviceaccounts", "secrets"),
			resources([]string{"create"}, "authorization.k8s.io", "subjectaccessreviews"),
			resources([]string{"get", "patch", "update"}, apis, "apiexportendpointslices/status"),
			resources([]string{"get"}, tenancy, "workspaceauthenticationconfigurations"),
			paths("access", "/")),
	}
}

// Root returns the additional objects of root, new ones at each call.
func Root() []client.Object {
	const (
		useTypes     = "system:kcp:universal-workspacetype-use"
		bindTenancy  = "system:kcp:apiexport:tenancy:bind"
		bindTopology = "system:kcp:apiexport:topology:bind"
		// What consumers may do with the exports, whatever the RBAC of their workspaces says.
		maximalTenancy  = "system:kcp:apiexport:tenancy:maximal-permission-policy"
		maximalTopology = "system:kcp:apiexport:topology:maximal-permission-policy"
		maximalAdmin    = "system:kcp:apiexport:kcp-admin:maximal-permission-policy"
		consumer        = apisv1alpha2.MaximalPermissionPolicyRBACUserGroupPrefix
		tenancy         = "tenancy.kcp.io"
		topology        = "topology.kcp.io"
		anyStatus       = "*/status"
	)
	return []client.Object{
		bind("system:kcp:tenancy:authenticated:access", WorkspaceAccess, user.AllAuthenticated),
		bind("system:kcp:authenticated:tenancy:reader", "system:kcp:tenancy:reader", user.AllAuthenticated),
		role(useTypes, named("use", tenancy, "workspacetypes", "universal", "organization", "team")),
		bind(useTypes, useTypes, user.AllAuthenticated),
		role(bindTenancy, named("bind", "apis.kcp.io", "apiexports", tenancy)),
		bind(bindTenancy, bindTenancy, user.AllAuthenticated),
		role(bindTopology, named("bind", "apis.kcp.io", "apiexports", topology)),
		bind(bindTopology, bindTopology, user.AllAuthenticated),
		role(maximalTenancy,
			resources(anything(), tenancy, "workspaces", "workspacetypes", "workspaceauthenticationconfigurations"),
			resources(read(), tenancy, anyStatus)),
		bind(maximalTenancy, maximalTenancy, consumer+user.AllAuthenticated),
		role(maximalTopology,
			resources(anything(), topology, "partitions", "partitionsets"),
			resources(read(), topology, anyStatus)),
		bind(maximalTopology, maximalTopology, consumer+user.AllAuthenticated),
		role(maximalAdmin, resources(anything(), tenancy, "*"), resources(anything(), topology, "*")),
		bind(maximalAdmin, maximalAdmin, consumer+groupAdmin),
	}
}

// Homes returns a role that may read and create home workspaces, and its binding to groups; for root, and new ones at each call.
func Homes(groups []string) (*rbacv1.ClusterRole, *rbacv1.ClusterRoleBinding) {
	const (
		createHome = "system:kcp:home-clusterworkspace-create"
		workspaces = "workspaces"
		own        = "~"
	)
	return role(createHome, named("get", "tenancy.kcp.io", workspaces, own), named("create", "tenancy.kcp.io", workspaces, own)),
		bind(createHome, createHome, groups...)
}
