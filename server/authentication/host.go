package authentication

import (
	"fmt"
	"net/http"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
)

const (
	// HostServiceAccountPrefix is the prefix of the user name of a ServiceAccount of the host, before <namespace>:<name>. Such a user
	// is not a ServiceAccount of a workspace, even if a workspace has one with the same namespace and name.
	HostServiceAccountPrefix = "host:serviceaccount:"
	// HostServiceAccounts is the group of all ServiceAccounts of the host; with :<namespace>, of those in a namespace.
	HostServiceAccounts = "host:serviceaccounts"
	// serverGroups is the prefix of the groups that administer this server.
	serverGroups = "system:kcp:"
)

// Host configures the authentication of users of the host cluster, whose API server forwards requests to this server.
type Host struct {
	// RequestHeader identifies the proxy whose headers name the user of a request; nil if there is none.
	RequestHeader *authenticatorfactory.RequestHeaderConfig
	// Tokens lets the host review bearer tokens that this server does not know; nil to refuse them.
	Tokens authenticator.Token
	// Masters keeps the groups system:masters and system:kcp:* of host identities.
	Masters bool
}

// hostUser is an identity that the host authenticated.
type hostUser struct {
	user.Info
	// claimed is the identity on the host.
	claimed user.Info
	// forwarded is true if the host's front proxy named the identity. The host has then already authorized the request.
	forwarded bool
}

// HostIdentity returns the identity of u on the host; false for users whom the host did not authenticate, which includes users who
// are impersonated here.
func HostIdentity(u user.Info) (user.Info, bool) {
	h, ok := u.(*hostUser)
	if !ok {
		return nil, false
	}
	return h.claimed, true
}

// Forwarded reports whether the host authorized and forwarded the request of u.
func Forwarded(u user.Info) bool {
	h, ok := u.(*hostUser)
	return ok && h.forwarded
}

// around returns authenticators in this order: the headers of the host's front proxy, next, token review by the host. The host does not
// see tokens of own, which may be nil.
func (h *Host) around(next authenticator.Request, own ServiceAccounts) []authenticator.Request {
	var requests []authenticator.Request
	if c := h.RequestHeader; c != nil {
		headers := headerrequest.NewDynamicVerifyOptionsSecure(c.CAContentProvider.VerifyOptions,
			c.AllowedClientNames, c.UsernameHeaders, c.UIDHeaders, c.GroupHeaders, c.ExtraHeaderPrefixes)
		requests = append(requests, &fromHost{masters: h.Masters, forwarded: true, next: group.NewAuthenticatedGroupAdder(headers)})
	}
	requests = append(requests, next)
	if h.Tokens != nil {
		reviews := byToken(elsewhere(own, h.Tokens))
		requests = append(requests, &fromHost{masters: h.Masters, next: group.NewAuthenticatedGroupAdder(reviews)})
	}
	return requests
}

// fromHost translates identities of the host.
type fromHost struct {
	masters   bool
	forwarded bool
	next      authenticator.Request
}

// AuthenticateRequest implements authenticator.Request.
func (f *fromHost) AuthenticateRequest(req *http.Request) (*authenticator.Response, bool, error) {
	resp, ok, err := f.next.AuthenticateRequest(req)
	if err != nil || !ok {
		return nil, false, err
	}
	u, ok := translate(resp.User, f.masters, f.forwarded)
	if !ok {
		return nil, false, fmt.Errorf("the user name %q of the host is reserved for the server itself", resp.User.GetName())
	}
	translated := *resp
	translated.User = u
	return &translated, true, nil
}

// translate returns the identity of a host user on this server; false if its name is reserved.
func translate(claimed user.Info, masters, forwarded bool) (user.Info, bool) {
	outside, ok := fromOutside(claimed, listed())
	if !ok {
		return nil, false
	}
	here := &user.DefaultInfo{Name: outside.GetName(), UID: outside.GetUID(), Extra: outside.GetExtra()}
	for _, name := range outside.GetGroups() {
		if masters || !administers(name) {
			here.Groups = append(here.Groups, name)
		}
	}
	if namespace, name, err := serviceaccount.SplitUsername(claimed.GetName()); err == nil {
		here.Name = HostServiceAccountPrefix + namespace + ":" + name
		here.Groups = append(here.Groups, HostServiceAccounts, HostServiceAccounts+":"+namespace)
	}
	return &hostUser{Info: here, claimed: claimed, forwarded: forwarded}, true
}
