package authorization

import (
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/authentication"
)

const (
	verbImpersonate = "impersonate"
	notPermitted    = "impersonation is not allowed for the requestor"
)

// isImpersonation reports whether attrs are the check of the impersonation filter, which asks whether the user may impersonate
// somebody.
func isImpersonation(attrs authorizer.Attributes) bool {
	verb := attrs.GetVerb()
	return attrs.IsResourceRequest() && (verb == verbImpersonate || isConstrained(verb))
}

// isConstrained reports whether verb belongs to constrained impersonation. Its filter keeps what it was allowed for ten
// seconds under a key without the logical cluster, so a permission in one cluster would count in all others. Therefore these
// verbs never allow anything. The filter then caches nothing, and falls back to the verb impersonate.
func isConstrained(verb string) bool {
	return strings.HasPrefix(verb, "impersonate:") || strings.HasPrefix(verb, "impersonate-on:")
}

// refuseImpersonation returns the reason to refuse an impersonation before RBAC is checked; empty if RBAC decides. Tenants write RBAC
// of a workspace, so it must not grant identities that have a meaning outside the workspace.
func refuseImpersonation(attrs authorizer.Attributes, master bool) string {
	if isConstrained(attrs.GetVerb()) {
		return "constrained impersonation is not supported"
	}
	if attrs.GetResource() == "userextras" && attrs.GetSubresource() == policy.WarrantKey {
		if err := policy.CheckWarrant(attrs.GetName()); err != nil {
			return err.Error()
		}
	}
	if master {
		return ""
	}
	switch attrs.GetResource() {
	case "groups":
		if isSpecial(attrs.GetName()) && !slices.Contains(attrs.GetUser().GetGroups(), attrs.GetName()) {
			return notPermitted
		}
	case "users":
		if authentication.ReservedUser(attrs.GetName()) {
			return notPermitted
		}
	case "userextras":
		if authentication.ReservedExtra(attrs.GetSubresource()) {
			return notPermitted
		}
	}
	return ""
}

// isSpecial reports whether a group has a meaning to the server, so that only its members may impersonate it. ServiceAccounts may be
// impersonated with their own groups, and everybody may impersonate an anonymous user.
func isSpecial(group string) bool {
	switch {
	case group == "", group == "*":
		return true
	case group == user.AllUnauthenticated, group == serviceaccount.AllServiceAccountsGroup,
		strings.HasPrefix(group, serviceaccount.ServiceAccountGroupPrefix):
		return false
	}
	return strings.HasPrefix(group, "system:") || authentication.ReservedGroup(group)
}
