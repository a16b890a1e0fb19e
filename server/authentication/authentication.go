package authentication

import (
	"context"
	"fmt"
	"net/http"

	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/request/websocket"
	"k8s.io/apiserver/pkg/authentication/request/x509"
	"k8s.io/apiserver/pkg/authentication/token/tokenfile"
	tokenunion "k8s.io/apiserver/pkg/authentication/token/union"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/auditing"
)

// Audit annotations with the logical cluster of a request.
const (
	AuditWorkspace = "tenancy.kcp.io/workspace" // name of the logical cluster
	AuditCluster   = "kcp.io/cluster"           // the same
	AuditPath      = "kcp.io/path"              // canonical path, or what was asked for when it leads nowhere
)

// Config defines the accepted credentials. The zero value accepts none.
type Config struct {
	// ClientCAFile contains the CA certificates for client certificates, in PEM format; CN is the user and each O a group. The
	// file is read again when it changes. Empty: no client certificates.
	ClientCAFile string
	// TokenFile contains lines of token,user,uid,"group,group". It is read once. Empty: no tokens.
	TokenFile string
	// Admins accepts the tokens of the generated administrators; nil if there are none.
	Admins authenticator.Token
	// ServiceAccounts accepts the tokens of ServiceAccounts. Package tokens has the only one; nil for none.
	ServiceAccounts ServiceAccounts
	// Host accepts users of a host cluster; nil without a host.
	Host *Host
	// Anonymous accepts requests without credentials as system:anonymous.
	Anonymous bool
	// PathOf returns the canonical path of a cluster for the audit log; false if it is unknown. May be nil.
	PathOf func(logicalcluster.Name) (logicalcluster.Path, bool)
	// Address returns the cluster of the request as the client wrote it; empty if it named none. May be nil.
	Address func(context.Context) string
}

// ServiceAccounts knows the tokens that this server issues.
type ServiceAccounts interface {
	authenticator.Token
	// Ours reports whether a token says that this server has issued it.
	Ours(ctx context.Context, token string) bool
	// Audience returns the audience of tokens for the API of a cluster.
	Audience(cluster logicalcluster.Name) string
}

// Authentication is the result of New.
type Authentication struct {
	// Authenticator is for the configuration of the generic API server; never nil.
	Authenticator authenticator.Request
	// ClientCA is for the serving info of the generic API server, which then requests client certificates and runs the provider; nil
	// without Config.ClientCAFile.
	ClientCA dynamiccertificates.CAContentProvider
}

// New returns the authenticator of the server. Errors name the file that cannot be used.
func New(c Config) (*Authentication, error) {
	out := &Authentication{}
	var tokens []authenticator.Token
	var requests []authenticator.Request
	if c.ClientCAFile != "" {
		ca, err := dynamiccertificates.NewDynamicCAContentFromFile("client-ca-file", c.ClientCAFile)
		if err != nil {
			return nil, fmt.Errorf("reading the client CA file %s: %w", c.ClientCAFile, err)
		}
		out.ClientCA = ca
		requests = append(requests, x509.NewDynamic(ca.VerifyOptions, x509.CommonNameUserConversion))
	}
	if c.TokenFile != "" {
		file, err := tokenfile.NewCSV(c.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("reading the token file %s: %w", c.TokenFile, err)
		}
		tokens = append(tokens, file)
	}
	if c.Admins != nil {
		tokens = append(tokens, c.Admins)
	}
	if len(tokens) > 0 {
		token := tokenunion.New(tokens...)
		requests = append(requests, bearertoken.New(token), websocket.NewProtocolAuthenticator(token))
	}
	joined := group.NewAuthenticatedGroupAdder(&outside{union.New(requests...)})
	if c.ServiceAccounts != nil {
		joined = c.withServiceAccounts(joined)
	}
	if c.Host != nil {
		joined = union.New(c.Host.around(joined, c.ServiceAccounts)...)
	}
	if c.Anonymous {
		// Bad credentials are an error and must not fall through to anonymous.
		joined = union.NewFailOnError(joined, anonymous.NewAuthenticator(nil))
	}
	out.Authenticator = &noting{Config: c, next: joined}
	return out, nil
}

// withServiceAccounts returns an authenticator that asks next first. The identities of ServiceAccounts are the server's own, so they keep the
// groups and extras that others may not claim.
func (c Config) withServiceAccounts(next authenticator.Request) authenticator.Request {
	accounts := union.New(bearertoken.New(c.ServiceAccounts), websocket.NewProtocolAuthenticator(c.ServiceAccounts))
	return union.New(
		&audience{next: next, of: func(req *http.Request) string { return c.ServiceAccounts.Audience(ClusterOf(req.Context())) }},
		group.NewAuthenticatedGroupAdder(accounts),
	)
}

// outside removes from identities what clients may not claim.
type outside struct{ next authenticator.Request }

// AuthenticateRequest implements authenticator.Request.
func (o *outside) AuthenticateRequest(req *http.Request) (*authenticator.Response, bool, error) {
	resp, ok, err := o.next.AuthenticateRequest(req)
	if err != nil || !ok {
		return nil, false, err
	}
	u, ok := fromOutside(resp.User)
	if !ok {
		return nil, false, fmt.Errorf("the user name %q is reserved for the server itself", resp.User.GetName())
	}
	clean := *resp
	clean.User = u
	return &clean, true, nil
}

// noting records the cluster of a request in the audit log, and the user for the filters of this package.
type noting struct {
	Config
	next authenticator.Request
}

// AuthenticateRequest implements authenticator.Request.
func (n *noting) AuthenticateRequest(req *http.Request) (*authenticator.Response, bool, error) {
	auditing.Note(req)
	n.annotate(req.Context())
	resp, ok, err := n.next.AuthenticateRequest(req)
	if err == nil && ok {
		noteRequestor(req.Context(), resp.User)
	}
	return resp, ok, err
}

func (n *noting) annotate(ctx context.Context) {
	var path string
	if n.Address != nil {
		path = n.Address(ctx)
	}
	cluster, ok := logicalcluster.FromContext(ctx)
	if ok {
		audit.AddAuditAnnotations(ctx, AuditWorkspace, string(cluster), AuditCluster, string(cluster))
		if n.PathOf != nil {
			if known, ok := n.PathOf(cluster); ok {
				path = string(known)
			}
		}
	}
	if path != "" {
		audit.AddAuditAnnotation(ctx, AuditPath, path)
	}
}
