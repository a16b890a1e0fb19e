package authentication

import (
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
)

// bindingPrefix begins subjects in the RBAC of an exported API; it is put there by the server and belongs to nobody.
const bindingPrefix = "apis.kcp.io:binding:"

// ReservedGroup reports whether the server alone puts users into group: a claim to it from outside has no effect.
func ReservedGroup(group string) bool {
	switch group {
	case "system:kcp:logical-cluster-admin",
		"system:kcp:external-logical-cluster-admin",
		"system:kcp:tenancy:workspace-bootstrapper",
		serviceaccount.AllServiceAccountsGroup:
		return true
	}
	for _, prefix := range [...]string{
		"system:kcp:initializer:", "system:kcp:terminator:", "system:cluster:", bindingPrefix, HostServiceAccounts, serviceaccount.ServiceAccountGroupPrefix,
	} {
		if strings.HasPrefix(group, prefix) {
			return true
		}
	}
	return false
}

// ReservedUser reports whether name is one that the server alone gives.
func ReservedUser(name string) bool {
	return strings.HasPrefix(name, "system:kcp:serviceaccount:") || strings.HasPrefix(name, bindingPrefix) ||
		strings.HasPrefix(name, HostServiceAccountPrefix)
}

// ReservedExtra reports whether the server alone sets the extra field of a user, such as authentication.kcp.io/scopes.
func ReservedExtra(key string) bool {
	domain, _, _ := strings.Cut(strings.ToLower(key), "/")
	return domain == "kcp.io" || strings.HasSuffix(domain, ".kcp.io")
}

// fromOutside returns u without what it may not claim; false when its very name is reserved.
func fromOutside(u user.Info) (user.Info, bool) {
	if ReservedUser(u.GetName()) {
		return nil, false
	}
	reservedExtra := false
	for key := range u.GetExtra() {
		reservedExtra = reservedExtra || ReservedExtra(key)
	}
	if !reservedExtra && !slices.ContainsFunc(u.GetGroups(), ReservedGroup) {
		return u, true
	}
	clean := &user.DefaultInfo{Name: u.GetName(), UID: u.GetUID()}
	for _, group := range u.GetGroups() {
		if !ReservedGroup(group) {
			clean.Groups = append(clean.Groups, group)
		}
	}
	for key, values := range u.GetExtra() {
		if !ReservedExtra(key) {
			if clean.Extra == nil {
				clean.Extra = map[string][]string{}
			}
			clean.Extra[key] = values
		}
	}
	return clean, true
}
