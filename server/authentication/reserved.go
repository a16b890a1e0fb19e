package authentication

import (
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
)

// bindingPrefix is the prefix of subjects in the RBAC of an exported API. Only the server sets it, and no user has it.
const bindingPrefix = "apis.kcp.io:binding:"

// ReservedGroup reports whether only the server may put users into group. A claim from outside has no effect.
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

// ReservedUser reports whether only the server may assign name.
func ReservedUser(name string) bool {
	return strings.HasPrefix(name, "system:kcp:serviceaccount:") || strings.HasPrefix(name, bindingPrefix) ||
		strings.HasPrefix(name, HostServiceAccountPrefix)
}

// ReservedExtra reports whether only the server may set the extra field of a user, such as authentication.kcp.io/scopes.
func ReservedExtra(key string) bool {
	domain, _, _ := strings.Cut(strings.ToLower(key), "/")
	return domain == "kcp.io" || strings.HasSuffix(domain, ".kcp.io")
}

// fromOutside returns u without reserved groups and extras; false if its name is reserved.
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
