package authentication

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

// bindingPrefix is the prefix of subjects in the RBAC of an exported API. Only the server sets it, and no user has it.
const bindingPrefix = apisv1alpha2.MaximalPermissionPolicyRBACUserGroupPrefix

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

// rules say what the users of some credentials may not claim. A user whose name is refused is not accepted; a group that is dropped has
// no effect.
type rules struct {
	refused, dropped func(string) bool
}

// listed are the rules for those whom the operator lists one by one: static tokens and the generated administrators.
func listed() rules { return rules{refused: ReservedUser, dropped: ReservedGroup} }

// certified are the rules for client certificates. If masters is false, their users do not administer the server.
func certified(masters bool) rules {
	return rules{
		refused: func(name string) bool {
			return ReservedUser(name) || strings.HasPrefix(name, serviceaccount.ServiceAccountUsernamePrefix)
		},
		dropped: func(group string) bool { return ReservedGroup(group) || (!masters && administers(group)) },
	}
}

// vouchedFor are the rules for users whom an issuer or a webhook names. No name or group of theirs is one of the system.
func vouchedFor() rules {
	system := func(name string) bool { return strings.HasPrefix(name, "system:") }
	return rules{
		refused: func(name string) bool { return ReservedUser(name) || system(name) },
		dropped: func(group string) bool { return ReservedGroup(group) || system(group) },
	}
}

// administers reports whether members of group administer this server.
func administers(group string) bool {
	return group == user.SystemPrivilegedGroup || strings.HasPrefix(group, serverGroups)
}

// fromOutside returns u without what r drops and without reserved extras; false if u has no name, or one that r refuses.
func fromOutside(u user.Info, r rules) (user.Info, bool) {
	if u.GetName() == "" || r.refused(u.GetName()) {
		return nil, false
	}
	reservedExtra := false
	for key := range u.GetExtra() {
		reservedExtra = reservedExtra || ReservedExtra(key)
	}
	if !reservedExtra && !slices.ContainsFunc(u.GetGroups(), r.dropped) {
		return u, true
	}
	clean := &user.DefaultInfo{Name: u.GetName(), UID: u.GetUID()}
	for _, group := range u.GetGroups() {
		if !r.dropped(group) {
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

// outside removes from identities what clients may not claim.
type outside struct {
	rules rules
	next  authenticator.Request
}

// AuthenticateRequest implements authenticator.Request.
func (o *outside) AuthenticateRequest(req *http.Request) (*authenticator.Response, bool, error) {
	resp, ok, err := o.next.AuthenticateRequest(req)
	if err != nil || !ok {
		return nil, false, err
	}
	u, ok := fromOutside(resp.User, o.rules)
	if !ok {
		return nil, false, fmt.Errorf("the user name %q is reserved for the server itself", resp.User.GetName())
	}
	clean := *resp
	clean.User = u
	return &clean, true, nil
}
