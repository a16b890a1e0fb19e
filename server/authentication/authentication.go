package authentication

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/request/websocket"
	"k8s.io/apiserver/pkg/authentication/request/x509"
	tokenunion "k8s.io/apiserver/pkg/authentication/token/union"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/auditing"
	"github.com/annex-dev/annex/server/authentication/jwt"
	"github.com/annex-dev/annex/server/authentication/tokenfile"
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
	// ClientCAMasters keeps the groups system:masters and system:kcp:* of client certificates.
	ClientCAMasters bool
	// TokenFile contains lines of token,user,uid,"group,group". The file is read again when it changes. Empty: no tokens.
	TokenFile string
	// Admins accepts the tokens of the generated administrators; nil if there are none.
	Admins authenticator.Token
	// ServiceAccounts accepts the tokens of ServiceAccounts. Package tokens has the only one; nil for none.
	ServiceAccounts ServiceAccounts
	// JWT are the trusted issuers of OpenID Connect tokens. Which extra fields they may not set is filled in by New.
	JWT jwt.Config
	// Webhook reviews tokens that nobody above knows; nil for none.
	Webhook *Webhook
	// Workspaces accepts tokens in the workspace of the request only, which its context names. Package issuers has the only one; nil for none.
	Workspaces authenticator.Token
	// Host accepts users of a host cluster; nil without a host.
	Host *Host
	// Anonymous accepts requests without credentials as system:anonymous, unless the file of JWT says who is anonymous.
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
	// Audiences returns the audiences of tokens for the API of a cluster.
	Audiences(cluster logicalcluster.Name) authenticator.Audiences
}

// Authentication is the result of New.
type Authentication struct {
	// Authenticator is for the configuration of the generic API server; never nil.
	Authenticator authenticator.Request
	// ClientCA is for the serving info of the generic API server, which then requests client certificates and runs the provider; nil
	// without Config.ClientCAFile.
	ClientCA dynamiccertificates.CAContentProvider

	file    *tokenfile.Tokens
	issuers *jwt.Issuers
}

// New returns the authenticator of the server. It sends no request. Errors name the file that cannot be used.
func New(c Config) (*Authentication, error) {
	out := &Authentication{}
	local, err := c.local(out)
	if err != nil {
		return nil, err
	}
	remote, err := c.remote(out)
	if err != nil {
		return nil, err
	}
	// What the server knows by itself comes first, so that nobody waits for others.
	sources := []authenticator.Request{c.forWorkspace(group.NewAuthenticatedGroupAdder(union.New(local...)))}
	if c.ServiceAccounts != nil {
		// These identities are the server's own, so they keep the groups and extras that others may not claim.
		sources = append(sources, group.NewAuthenticatedGroupAdder(byToken(c.ServiceAccounts)))
	}
	if remote != nil {
		sources = append(sources, c.forWorkspace(group.NewAuthenticatedGroupAdder(remote)))
	}
	if c.Workspaces != nil {
		sources = append(sources, c.forWorkspace(group.NewAuthenticatedGroupAdder(ofWorkspace(elsewhere(c.ServiceAccounts, c.Workspaces)))))
	}
	joined := union.New(sources...)
	if c.Host != nil {
		joined = union.New(c.Host.around(joined, c.ServiceAccounts)...)
	}
	if c.Anonymous || out.issuers != nil {
		// Bad credentials are an error and must not fall through to anonymous.
		joined = union.NewFailOnError(joined, &unnamed{otherwise: c.Anonymous, issuers: out.issuers})
	}
	out.Authenticator = &noting{Config: c, next: joined}
	return out, nil
}

// Run follows the files and the issuers until ctx ends. Before Run, no token of an issuer is accepted.
func (a *Authentication) Run(ctx context.Context) error {
	var running sync.WaitGroup
	if a.file != nil {
		running.Go(func() { a.file.Run(ctx) })
	}
	var err error
	if a.issuers != nil {
		running.Go(func() { err = a.issuers.Run(ctx) })
	}
	running.Wait()
	return err
}

// local returns authenticators for what this server knows by itself.
func (c Config) local(out *Authentication) ([]authenticator.Request, error) {
	var requests []authenticator.Request
	if c.ClientCAFile != "" {
		ca, err := dynamiccertificates.NewDynamicCAContentFromFile("client-ca-file", c.ClientCAFile)
		if err != nil {
			return nil, fmt.Errorf("reading the client CA file %s: %w", c.ClientCAFile, err)
		}
		out.ClientCA = ca
		requests = append(requests, &outside{rules: certified(c.ClientCAMasters), next: x509.NewDynamic(ca.VerifyOptions, x509.CommonNameUserConversion)})
	}
	var tokens []authenticator.Token
	if c.TokenFile != "" {
		var err error
		if out.file, err = tokenfile.New(c.TokenFile); err != nil {
			return nil, fmt.Errorf("reading the token file %s: %w", c.TokenFile, err)
		}
		tokens = append(tokens, out.file)
	}
	if c.Admins != nil {
		tokens = append(tokens, c.Admins)
	}
	if len(tokens) > 0 {
		requests = append(requests, &outside{rules: listed(), next: byToken(tokenunion.New(tokens...))})
	}
	return requests, nil
}

// remote returns an authenticator for tokens that others vouch for; nil if nobody does.
func (c Config) remote(out *Authentication) (authenticator.Request, error) {
	var tokens []authenticator.Token
	if c.JWT.Any() {
		c.JWT.ReservedExtra = ReservedExtra
		var err error
		if out.issuers, err = jwt.New(c.JWT); err != nil {
			return nil, err
		}
		tokens = append(tokens, out.issuers)
	}
	if c.Webhook != nil {
		reviews, err := c.Webhook.build()
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, reviews)
	}
	if len(tokens) == 0 {
		return nil, nil //nolint:nilnil // nobody is asked, as configured
	}
	return &outside{rules: vouchedFor(), next: byToken(elsewhere(c.ServiceAccounts, &bounded{tokenunion.New(tokens...)}))}, nil
}

// forWorkspace returns next for credentials that are for no audience in particular.
func (c Config) forWorkspace(next authenticator.Request) authenticator.Request {
	if c.ServiceAccounts == nil {
		return next
	}
	return &audience{next: next, of: func(req *http.Request) authenticator.Audiences {
		return c.ServiceAccounts.Audiences(ClusterOf(req.Context()))
	}}
}

// byToken returns an authenticator of requests with a bearer token, which browsers send as a protocol of a WebSocket.
func byToken(tokens authenticator.Token) authenticator.Request {
	return union.New(bearertoken.New(tokens), websocket.NewProtocolAuthenticator(tokens))
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
