package authentication

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/kubernetes/fake"
)

// frontProxyOf is what a host says about its front proxy.
func frontProxyOf(ca []byte) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: frontProxyConfigMap},
		Data: map[string]string{
			"requestheader-client-ca-file": string(ca), "requestheader-allowed-names": `["front-proxy"]`,
			"requestheader-username-headers": `["X-Remote-User"]`, "requestheader-uid-headers": `["X-Remote-Uid"]`,
			"requestheader-group-headers": `["X-Remote-Group"]`, "requestheader-extra-headers-prefix": `["X-Remote-Extra-"]`,
		},
	}
}

// follow runs a FrontProxy until it knows what the host says.
func follow(t *testing.T, ca []byte) *FrontProxy {
	t.Helper()
	proxy, err := NewFrontProxy(fake.NewClientset(frontProxyOf(ca)))
	if err != nil {
		t.Fatal(err)
	}
	if proxy.Ready() == nil {
		t.Error("ready before anything was read")
	}
	if err := proxy.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	known := make(chan struct{}, 1)
	proxy.AddListener(listener(known))
	go proxy.Run(t.Context(), 1)
	<-known
	if err := proxy.Ready(); err != nil {
		t.Fatal(err)
	}
	return proxy
}

type listener chan struct{}

// Enqueue implements dynamiccertificates.Listener.
func (l listener) Enqueue() {
	select {
	case l <- struct{}{}:
	default:
	}
}

// request returns a request by somebody with a certificate, nil for none, who says by headers who they are.
func request(t *testing.T, certificate *x509.Certificate, name string, groups ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api", nil)
	r.Header.Set("X-Remote-User", name)
	r.Header["X-Remote-Group"] = groups
	r.Header.Set("X-Remote-Extra-Authentication.kcp.io%2fscopes", "cluster:root")
	r.Header.Set("X-Remote-Extra-Team", "red")
	if certificate != nil {
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}}
	}
	return r
}

func TestHost_WhoseHeadersAreBelieved(t *testing.T) {
	proxyCA, clientCA, stranger := newAuthority(t), newAuthority(t), newAuthority(t)
	proxy := follow(t, proxyCA.pem(t))
	auth, err := New(Config{
		ClientCAFile: write(t, "ca.crt", clientCA.pem(t)), Anonymous: true,
		Host: &Host{RequestHeader: proxy.RequestHeader()},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		certificate *x509.Certificate
		want        string // empty when nobody is let in
	}{
		"the front proxy":                      {proxyCA.issue(t, "front-proxy"), "alice"},
		"another name of its CA":               {proxyCA.issue(t, "somebody"), ""},
		"its name, by the CA of clients":       {clientCA.issue(t, "front-proxy"), "front-proxy"},
		"a client":                             {clientCA.issue(t, "carol"), "carol"},
		"its name, by the CA of somebody else": {stranger.issue(t, "front-proxy"), ""},
		"no certificate":                       {nil, user.Anonymous},
	} {
		t.Run(name, func(t *testing.T) {
			resp, ok, err := auth.Authenticator.AuthenticateRequest(request(t, tc.certificate, "alice", "dev", user.AllAuthenticated))
			switch {
			case tc.want == "" && ok:
				t.Errorf("let in as %v", resp.User)
			case tc.want != "" && (err != nil || !ok || resp.User.GetName() != tc.want):
				t.Errorf("AuthenticateRequest = %v, %v, %v; want %s", resp, ok, err, tc.want)
			}
			if !ok {
				return
			}
			if _, vouched := HostIdentity(resp.User); vouched != (tc.want == "alice") {
				t.Errorf("the host vouches for %s: %v", tc.want, vouched)
			}
		})
	}
}

func TestHost_BeforeAnythingIsKnown(t *testing.T) {
	proxyCA := newAuthority(t)
	proxy, err := NewFrontProxy(fake.NewClientset())
	if err != nil {
		t.Fatal(err)
	}
	auth, err := New(Config{Host: &Host{RequestHeader: proxy.RequestHeader()}})
	if err != nil {
		t.Fatal(err)
	}
	if resp, ok, _ := auth.Authenticator.AuthenticateRequest(request(t, proxyCA.issue(t, "front-proxy"), "alice")); ok {
		t.Errorf("let in as %v", resp.User)
	}
}

func TestHost_Translation(t *testing.T) {
	proxyCA := newAuthority(t)
	proxy := follow(t, proxyCA.pem(t))
	certificate := proxyCA.issue(t, "front-proxy")
	everyone := user.AllAuthenticated
	for name, tc := range map[string]struct {
		masters   bool
		user      string
		groups    []string
		want      string // empty when nobody is let in
		wantGroup []string
	}{
		"a user":                        {user: "alice", groups: []string{"dev", everyone}, want: "alice", wantGroup: []string{"dev", everyone}},
		"an administrator":              {user: "root", groups: []string{user.SystemPrivilegedGroup, everyone}, want: "root", wantGroup: []string{everyone}},
		"an administrator, as wanted":   {masters: true, user: "root", groups: []string{user.SystemPrivilegedGroup, everyone}, want: "root", wantGroup: []string{user.SystemPrivilegedGroup, everyone}},
		"one who says so of Annex":      {user: "eve", groups: []string{"system:kcp:admin", everyone}, want: "eve", wantGroup: []string{everyone}},
		"groups that only Annex gives":  {masters: true, user: "eve", groups: []string{"system:kcp:logical-cluster-admin", "system:cluster:x", everyone}, want: "eve", wantGroup: []string{everyone}},
		"a name that only Annex gives":  {user: "system:kcp:serviceaccount:root:default:x", groups: []string{everyone}},
		"a name of another ServiceAcc.": {user: "host:serviceaccount:default:x", groups: []string{everyone}},
		"a ServiceAccount": {user: "system:serviceaccount:default:x", groups: []string{"system:serviceaccounts", "system:serviceaccounts:default", everyone},
			want: "host:serviceaccount:default:x", wantGroup: []string{everyone, "host:serviceaccounts", "host:serviceaccounts:default"}},
		"one who would be one": {user: "eve", groups: []string{"host:serviceaccounts", everyone}, want: "eve", wantGroup: []string{everyone}},
		"anonymous":            {user: user.Anonymous, groups: []string{user.AllUnauthenticated}, want: user.Anonymous, wantGroup: []string{user.AllUnauthenticated}},
	} {
		t.Run(name, func(t *testing.T) {
			auth, err := New(Config{Host: &Host{RequestHeader: proxy.RequestHeader(), Masters: tc.masters}})
			if err != nil {
				t.Fatal(err)
			}
			resp, ok, err := auth.Authenticator.AuthenticateRequest(request(t, certificate, tc.user, tc.groups...))
			if tc.want == "" {
				if ok {
					t.Errorf("let in as %v", resp.User)
				}
				return
			}
			if err != nil || !ok {
				t.Fatalf("not let in: %v", err)
			}
			if resp.User.GetName() != tc.want || !slices.Equal(resp.User.GetGroups(), tc.wantGroup) {
				t.Errorf("let in as %s in %v, want %s in %v", resp.User.GetName(), resp.User.GetGroups(), tc.want, tc.wantGroup)
			}
			if extra := resp.User.GetExtra(); len(extra) != 1 || !slices.Equal(extra["team"], []string{"red"}) {
				t.Errorf("extra fields %v", extra)
			}
			claimed, ok := HostIdentity(resp.User)
			if !ok || claimed.GetName() != tc.user || !slices.Equal(claimed.GetGroups(), tc.groups) {
				t.Errorf("on the host it is %v", claimed)
			}
		})
	}
}

func TestHost_TokensComeLast(t *testing.T) {
	asked := 0
	reviews := authenticator.TokenFunc(func(_ context.Context, token string) (*authenticator.Response, bool, error) {
		asked++
		return &authenticator.Response{User: &user.DefaultInfo{Name: "robot"}}, token == "of-the-host", nil
	})
	auth, err := New(Config{TokenFile: write(t, "tokens.csv", []byte(tokenFile)), Host: &Host{Tokens: reviews}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		token, want string
		asked       int
	}{{"token-alice", "alice", 0}, {"of-the-host", "robot", 1}, {"nonsense", "", 2}} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api", nil)
		r.Header.Set("Authorization", "Bearer "+tc.token)
		resp, ok, _ := auth.Authenticator.AuthenticateRequest(r)
		if ok != (tc.want != "") || ok && resp.User.GetName() != tc.want {
			t.Errorf("%s: %v, %v", tc.token, resp, ok)
		}
		if asked != tc.asked {
			t.Errorf("%s: the host has been asked %d times, want %d", tc.token, asked, tc.asked)
		}
		if tc.want == "robot" && !slices.Contains(resp.User.GetGroups(), user.AllAuthenticated) {
			t.Errorf("%s is in %v", tc.want, resp.User.GetGroups())
		}
	}
}
