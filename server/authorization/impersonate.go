package authorization

import (
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/server/authentication"
)

const (
	verbImpersonate = "impersonate"
	notPermitted    = "impersonation is not allowed for the requestor"
)

// isImpersonation reports whether attrs ask whether the user may stand in for somebody, as the impersonation filter does
// before it lets a request go on.
func isImpersonation(attrs authorizer.Attributes) bool {
	verb := attrs.GetVerb()
	return attrs.IsResourceRequest() && (verb == verbImpersonate || isConstrained(verb))
}

// isConstrained reports whether verb belongs to constrained impersonation. Its filter keeps what it was allowed for ten
// seconds under a key in which the logical cluster does not occur: permission in one cluster would hold in all others. So
// nothing is ever allowed by these verbs, the filter has nothing to keep, and falls back to the verb impersonate.
func isConstrained(verb string) bool {
	return strings.HasPrefix(verb, "impersonate:") || strings.HasPrefix(verb, "impersonate-on:")
}

// refuseImpersonation returns why RBAC need not even be asked; empty when it decides. RBAC of a workspace is written by
// tenants: it must not lend what means something outside of the workspace.
func refuseImpersonation(attrs authorizer.Attributes, master bool) string {
	if isConstrained(attrs.GetVerb()) {
		return "constrained impersonation is not supported"
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

// isSpecial reports whether a group means something to the server, so that only those who have it may lend it. Everybody who
// may impersonate ServiceAccounts may do so in their own groups, and everybody may stand in for somebody anonymous.
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
