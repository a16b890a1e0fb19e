package authorization

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/authentication"
	"github.com/annex-dev/annex/server/virtual"
)

// forwarded returns an identity that the front proxy of the host names.
func forwarded(t *testing.T, name string) user.Info {
	t.Helper()
	pem, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	key, err := keyutil.ParsePrivateKeyPEM(pem)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := certutil.NewSelfSignedCACert(certutil.Config{CommonName: "front-proxy"}, key.(crypto.Signer))
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := certutil.EncodeCertificates(ca)
	if err != nil {
		t.Fatal(err)
	}
	content, err := dynamiccertificates.NewStaticCAContent("front-proxy", encoded)
	if err != nil {
		t.Fatal(err)
	}
	auth, err := authentication.New(authentication.Config{Host: &authentication.Host{RequestHeader: &authenticatorfactory.RequestHeaderConfig{
		CAContentProvider: content, UsernameHeaders: headerrequest.StaticStringSlice{"X-Remote-User"}, AllowedClientNames: headerrequest.StaticStringSlice{"front-proxy"},
		UIDHeaders: headerrequest.StaticStringSlice{}, GroupHeaders: headerrequest.StaticStringSlice{}, ExtraHeaderPrefixes: headerrequest.StaticStringSlice{},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	req.Header.Set("X-Remote-User", name)
	req.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{ca}}
	resp, ok, err := auth.Authenticator.AuthenticateRequest(req)
	if err != nil || !ok {
		t.Fatalf("not let in: %v", err)
	}
	return resp.User
}

type projectedKey struct{}

// What a HostBinding projects needs the host's word and, unless the HostBinding says otherwise, the workspace's.
func TestAuthorize_Projected(t *testing.T) {
	// The host lets hank and alice list, and nobody do anything else.
	host := authorizer.AuthorizerFunc(func(_ context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
		switch name := attrs.GetUser().GetName(); {
		case name == "sick":
			return authorizer.DecisionNoOpinion, "", errors.New("no answer")
		case attrs.GetVerb() == "list" && (name == "hank" || name == "alice"):
			return authorizer.DecisionAllow, "", nil
		}
		return authorizer.DecisionNoOpinion, "", nil
	})
	// Who serves the HostBinding lets the authorizer of clusters decide about everybody but system:masters.
	at := func(host *Host) authorizer.Authorizer {
		c := over(world())
		c.Host = host
		clusters, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		return build(t, c, authorizer.AuthorizerFunc(func(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
			if policy.Master(attrs.GetUser(), "root") {
				return authorizer.DecisionAllow, "", nil
			}
			byHost, _ := ctx.Value(projectedKey{}).(bool)
			return clusters.Projected(ctx, byHost, attrs)
		}))
	}
	asking := at(&Host{Authorizer: host, Shows: func(context.Context) bool { return false }})
	alone := at(nil)
	const kind = "widgets"
	token := func(name string) user.Info { return vouched(t, someone(name)) }
	create := func(u user.Info) authorizer.AttributesRecord {
		attrs := list(u, kind)
		attrs.Verb = "create"
		return attrs
	}
	verb := func(verb string) authorizer.AttributesRecord {
		attrs := list(forwarded(t, "system:serviceaccount:kube-system:generic-garbage-collector"), kind)
		attrs.Verb = verb
		return attrs
	}
	for name, tc := range map[string]struct {
		by      authorizer.Authorizer
		cluster string // empty for several
		byHost  bool
		attrs   authorizer.AttributesRecord
		// verb is that of the request; empty for that of attrs.
		verb string
		want bool
	}{
		"forwarded, and the workspace allows it":           {asking, "org", false, list(forwarded(t, "alice"), kind), "", true},
		"forwarded, and the workspace does not":            {asking, "org", false, list(forwarded(t, "hank"), kind), "", false},
		"forwarded, and the host's word is enough":         {asking, "org", true, list(forwarded(t, "hank"), kind), "", true},
		"forwarded, whom the host would refuse":            {asking, "org", true, list(forwarded(t, "zoe"), kind), "", true},
		"forwarded, while the host cannot be asked":        {alone, "org", true, list(forwarded(t, "zoe"), kind), "", true},
		"a patch that creates, forwarded":                  {asking, "org", true, create(forwarded(t, "hank")), "patch", false},
		"a patch that creates, where nobody can be asked":  {alone, "org", true, create(forwarded(t, "hank")), "patch", false},
		"a token, and both allow it":                       {asking, "org", false, list(token("alice"), kind), "", true},
		"a token that the host does not allow":             {asking, "org", true, list(token("zoe"), kind), "", false},
		"a token, another verb":                            {asking, "org", true, create(token("hank")), "", false},
		"a token, and the host's word is enough":           {asking, "org", true, list(token("hank"), kind), "", true},
		"a token, while the host does not answer":          {asking, "org", true, list(token("sick"), kind), "", false},
		"a token, where nobody can be asked":               {alone, "org", true, list(token("hank"), kind), "", false},
		"somebody whom only the workspace knows":           {asking, "org", false, list(someone("alice"), kind), "", false},
		"somebody of the same name":                        {asking, "org", true, list(someone("hank"), kind), "", false},
		"several workspaces":                               {asking, "", false, list(forwarded(t, "hank"), kind), "", true},
		"several workspaces, for a stranger":               {asking, "", true, list(someone("hank"), kind), "", false},
		"several workspaces, that the host does not allow": {asking, "", true, list(token("zoe"), kind), "", false},
		"a workspace that asks for groups":                 {asking, "required", true, list(forwarded(t, "hank"), kind), "", false},
		"a workspace that is switched off":                 {asking, "off", true, list(forwarded(t, "hank"), kind), "", false},
		"a workspace that is being made":                   {asking, "starting", true, list(forwarded(t, "hank"), kind), "", false},
		"a workspace that does not exist":                  {asking, "missing", true, list(forwarded(t, "hank"), kind), "", false},
		"a workspace that cannot be looked up":             {asking, "unwell", true, list(forwarded(t, "hank"), kind), "", false},
		"a cluster of the server itself":                   {asking, "system:admin", true, list(forwarded(t, "hank"), kind), "", false},
		"standing in for others":                           {asking, "org", true, impersonate(forwarded(t, "hank"), "users", "alice"), "", false},
		"a path":                                           {asking, "org", true, get(forwarded(t, "hank"), "/api"), "", false},
		"a provider":                                       {asking, "org", true, list(someone("vera"), kind), "", false},
		"system:masters":                                   {asking, "org", false, list(someone("root", user.SystemPrivilegedGroup), kind), "", true},
		"the host's namespace controller":                  {asking, "org", false, list(forwarded(t, "system:serviceaccount:kube-system:namespace-controller"), kind), "", true},
		"the same, creating":                               {asking, "org", false, create(forwarded(t, "system:serviceaccount:kube-system:namespace-controller")), "", false},
		"the garbage collector, reading":                   {asking, "org", true, verb("get"), "", true},
		"the garbage collector, deleting":                  {asking, "org", true, verb("delete"), "", false},
		"the garbage collector, patching":                  {asking, "org", true, verb("patch"), "", false},
		"the garbage collector, a collection":              {asking, "org", true, verb("deletecollection"), "", true},
		"the garbage collector, something new":             {asking, "org", true, verb("unheard-of"), "", false},
		"the garbage collector, deleting in several":       {asking, "", true, verb("delete"), "", false},
		"somebody who says so":                             {asking, "org", false, list(someone("system:serviceaccount:kube-system:namespace-controller"), kind), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.WithValue(virtual.WithEndpoint(t.Context(), virtual.Endpoint{Kind: "hostbinding", Cluster: "root", Name: "b", Direct: true}), projectedKey{}, tc.byHost)
			if tc.cluster == "" {
				ctx = logicalcluster.WithWildcard(ctx)
			} else {
				ctx = logicalcluster.WithCluster(ctx, logicalcluster.Name(tc.cluster))
			}
			verb := tc.verb
			if verb == "" {
				verb = tc.attrs.Verb
			}
			ctx = genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{Verb: verb})
			decision, reason, err := tc.by.Authorize(ctx, tc.attrs)
			if got := decision == authorizer.DecisionAllow; got != tc.want {
				t.Errorf("allowed %v (%s, %v), want %v", got, reason, err, tc.want)
			}
		})
	}
}

func TestControlsHost(t *testing.T) {
	for name, tc := range map[string]struct {
		u    user.Info
		want bool
	}{
		"the garbage collector":        {forwarded(t, "system:serviceaccount:kube-system:generic-garbage-collector"), true},
		"all of them in one":           {forwarded(t, "system:kube-controller-manager"), true},
		"the same by a token":          {vouched(t, someone("system:serviceaccount:kube-system:namespace-controller")), true},
		"a user of the host":           {forwarded(t, "hank"), false},
		"a ServiceAccount of the host": {forwarded(t, "system:serviceaccount:kube-system:default"), false},
		"somebody who says so":         {someone("system:kube-controller-manager"), false},
	} {
		if got := ControlsHost(tc.u); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
