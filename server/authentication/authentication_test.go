package authentication

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	certutil "k8s.io/client-go/util/cert"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/virtual"
)

// authority signs client certificates.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := certutil.NewSelfSignedCACert(certutil.Config{CommonName: "ca"}, key)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{key: key, cert: cert}
}

func (a *authority) pem(t *testing.T) []byte {
	t.Helper()
	out, err := certutil.EncodeCertificates(a.cert)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (a *authority) issue(t *testing.T, name string, groups ...string) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name, Organization: groups},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, a.cert, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const tokenFile = `token-alice,alice,1,"dev,system:kcp:initializer:root:x,system:kcp:logical-cluster-admin"
token-master,master,2,system:masters
token-account,system:serviceaccount:default:x,3,"system:serviceaccounts,system:serviceaccounts:default"
token-foreign,system:kcp:serviceaccount:other:default:x,4
token-bound,apis.kcp.io:binding:alice,5
`

func TestNew_WhoIsLetIn(t *testing.T) {
	trusted, stranger := newAuthority(t), newAuthority(t)
	auth, err := New(Config{
		ClientCAFile: write(t, "ca.crt", trusted.pem(t)),
		TokenFile:    write(t, "tokens.csv", []byte(tokenFile)),
		Anonymous:    true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if auth.ClientCA == nil {
		t.Error("the CA of clients is missing")
	}
	for _, tc := range []struct {
		name       string
		token      string
		cert       *x509.Certificate
		header     http.Header
		wantName   string // empty when nobody is let in
		wantGroups []string
	}{
		{name: "no credentials", wantName: user.Anonymous, wantGroups: []string{user.AllUnauthenticated}},
		{name: "a token, without groups that one cannot claim", token: "token-alice", wantName: "alice", wantGroups: []string{"dev", user.AllAuthenticated}},
		{name: "a token of masters", token: "token-master", wantName: "master", wantGroups: []string{user.SystemPrivilegedGroup, user.AllAuthenticated}},
		{name: "a token with the name of a service account gets none of its groups", token: "token-account", wantName: "system:serviceaccount:default:x", wantGroups: []string{user.AllAuthenticated}},
		{name: "a token with a name that the server gives", token: "token-foreign"},
		{name: "a token with the name of a bound subject", token: "token-bound"},
		{name: "a bad token is not anonymous", token: "nonsense"},
		{name: "a certificate", cert: trusted.issue(t, "carol", "ops"), wantName: "carol", wantGroups: []string{"ops", user.AllAuthenticated}},
		{name: "a certificate that claims to initialize", cert: trusted.issue(t, "carol", "system:kcp:initializer:root:x", "system:cluster:other", "apis.kcp.io:binding:x"), wantName: "carol", wantGroups: []string{user.AllAuthenticated}},
		{name: "a certificate of an administrator", cert: trusted.issue(t, "carol", "ops", "system:masters", "system:kcp:admin", "system:nodes"), wantName: "carol", wantGroups: []string{"ops", "system:nodes", user.AllAuthenticated}},
		{name: "a certificate of a ServiceAccount", cert: trusted.issue(t, "system:serviceaccount:default:x", "ops")},
		{name: "a certificate with a name that the server gives", cert: trusted.issue(t, "host:serviceaccount:default:x")},
		{name: "a certificate of somebody else", cert: stranger.issue(t, "carol")},
		{name: "headers of a proxy are nothing", header: http.Header{"X-Remote-User": {"root"}, "X-Remote-Group": {"system:masters"}}, wantName: user.Anonymous, wantGroups: []string{user.AllUnauthenticated}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api", nil)
			for key, values := range tc.header {
				r.Header[key] = values
			}
			if tc.token != "" {
				r.Header.Set("Authorization", "Bearer "+tc.token)
			}
			if tc.cert != nil {
				r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{tc.cert}}
			}
			resp, ok, err := auth.Authenticator.AuthenticateRequest(r)
			if tc.wantName == "" {
				if ok {
					t.Errorf("let in as %v", resp.User)
				}
				return
			}
			if err != nil || !ok {
				t.Fatalf("not let in: %v", err)
			}
			if resp.User.GetName() != tc.wantName || !slices.Equal(resp.User.GetGroups(), tc.wantGroups) {
				t.Errorf("let in as %v, want %s in %v", resp.User, tc.wantName, tc.wantGroups)
			}
		})
	}
}

func TestNew_CertificatesOfAdministrators(t *testing.T) {
	trusted := newAuthority(t)
	auth, err := New(Config{ClientCAFile: write(t, "ca.crt", trusted.pem(t)), ClientCAMasters: true})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api", nil)
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{trusted.issue(t, "carol", "system:masters", "system:kcp:admin", "system:kcp:logical-cluster-admin")}}
	resp, ok, err := auth.Authenticator.AuthenticateRequest(r)
	if err != nil || !ok || !slices.Equal(resp.User.GetGroups(), []string{"system:masters", "system:kcp:admin", user.AllAuthenticated}) {
		t.Errorf("let in as %+v, %v", resp, err)
	}
}

func TestNew_WithoutAnything(t *testing.T) {
	auth, err := New(Config{})
	if err != nil || auth.Authenticator == nil {
		t.Fatalf("New() = %v, %v, want an authenticator", auth, err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api", nil)
	r.Header.Set("Authorization", "Bearer x")
	if resp, ok, _ := auth.Authenticator.AuthenticateRequest(r); ok {
		t.Errorf("let in as %v", resp.User)
	}
}

func TestNew_FilesThatCannotBeUsed(t *testing.T) {
	for name, c := range map[string]Config{
		"no CA":        {ClientCAFile: filepath.Join(t.TempDir(), "missing")},
		"not a CA":     {ClientCAFile: write(t, "ca.crt", []byte("nonsense"))},
		"no tokens":    {TokenFile: filepath.Join(t.TempDir(), "missing")},
		"short tokens": {TokenFile: write(t, "tokens.csv", []byte("a,b\n"))},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAuditAnnotations(t *testing.T) {
	auth, err := New(Config{
		PathOf: func(cluster logicalcluster.Name) (logicalcluster.Path, bool) {
			return "root:org", cluster == "2f8kq1z0c7a9x3bd"
		},
		Address: func(context.Context) string { return "root:typed" },
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		ctx  context.Context
		want map[string]string
	}{
		"a cluster": {
			logicalcluster.WithCluster(t.Context(), "2f8kq1z0c7a9x3bd"),
			map[string]string{AuditWorkspace: "2f8kq1z0c7a9x3bd", AuditCluster: "2f8kq1z0c7a9x3bd", AuditPath: "root:org"},
		},
		"an unknown one": {logicalcluster.WithUnknown(t.Context()), map[string]string{AuditWorkspace: "", AuditCluster: "", AuditPath: "root:typed"}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := audit.WithAuditContext(tc.ctx)
			ac := audit.AuditContextFrom(ctx)
			if err := ac.Init(audit.RequestAuditConfig{Level: auditinternal.LevelMetadata}, nil); err != nil {
				t.Fatal(err)
			}
			if _, ok, _ := auth.Authenticator.AuthenticateRequest(httptest.NewRequestWithContext(ctx, http.MethodGet, "/api", nil)); ok {
				t.Fatal("let in")
			}
			for key, want := range tc.want {
				if got, _ := ac.GetEventAnnotation(key); got != want {
					t.Errorf("annotation %s = %q, want %q", key, got, want)
				}
			}
		})
	}
}

func TestImpersonationScope(t *testing.T) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	codecs := serializer.NewCodecFactory(scheme)
	org := func(ctx context.Context) context.Context { return logicalcluster.WithCluster(ctx, "org") }
	for _, tc := range []struct {
		name       string
		target     func(context.Context) context.Context
		requestor  user.Info
		header     bool
		extra      map[string][]string
		wantScopes []string
	}{
		{"nobody is impersonated", org, &user.DefaultInfo{Name: "alice"}, false, nil, nil},
		{"somebody is", org, &user.DefaultInfo{Name: "alice"}, true, nil, []string{"cluster:org"}},
		{"scopes add up", org, &user.DefaultInfo{Name: "alice"}, true, map[string][]string{policy.ScopesKey: {"cluster:a,cluster:org"}}, []string{"cluster:a,cluster:org", "cluster:org"}},
		{"by masters", org, &user.DefaultInfo{Name: "root", Groups: []string{user.SystemPrivilegedGroup}}, true, nil, nil},
		{"by nobody knows whom", org, nil, true, nil, []string{"cluster:org"}},
		{"at a virtual endpoint", func(ctx context.Context) context.Context {
			return logicalcluster.WithWildcard(virtual.WithEndpoint(ctx, virtual.Endpoint{Cluster: "provider"}))
		}, &user.DefaultInfo{Name: "alice"}, true, nil, []string{"cluster:provider"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var seen user.Info
			inner := WithImpersonationScope(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				seen, _ = genericapirequest.UserFrom(r.Context())
			}), codecs)
			// What the stock chain does in between: authenticate, impersonate, take the headers away.
			handler := WithRequestor(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tc.requestor != nil {
					noteRequestor(r.Context(), tc.requestor)
				}
				noteRequestor(r.Context(), &user.DefaultInfo{Name: "token review", Groups: []string{user.SystemPrivilegedGroup}})
				if tc.requestor == nil {
					r = r.WithContext(context.WithValue(r.Context(), requestKey{}, &requestor{impersonates: true}))
				}
				r.Header.Del(authenticationv1.ImpersonateUserHeader)
				inner.ServeHTTP(w, r.WithContext(genericapirequest.WithUser(r.Context(), &user.DefaultInfo{Name: "bob", Groups: []string{"g"}, Extra: tc.extra})))
			}))
			r := httptest.NewRequestWithContext(tc.target(t.Context()), http.MethodGet, "/api", nil)
			if tc.header {
				r.Header.Set(authenticationv1.ImpersonateUserHeader, "bob")
			}
			handler.ServeHTTP(httptest.NewRecorder(), r)
			if seen == nil || seen.GetName() != "bob" || !slices.Equal(seen.GetGroups(), []string{"g"}) {
				t.Fatalf("served as %v, want bob in g", seen)
			}
			if got := seen.GetExtra()[policy.ScopesKey]; !slices.Equal(got, tc.wantScopes) {
				t.Errorf("scopes = %q, want %q", got, tc.wantScopes)
			}
		})
	}
	t.Run("refuses to work alone", func(t *testing.T) {
		w := httptest.NewRecorder()
		ctx := genericapirequest.WithUser(t.Context(), &user.DefaultInfo{Name: "alice"})
		ctx = genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{})
		WithImpersonationScope(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("served") }), codecs).
			ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api", nil))
		if w.Code != http.StatusInternalServerError {
			t.Errorf("answered %d", w.Code)
		}
	})
}
