package host

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"

	"github.com/annex-dev/annex/test/framework/annex"
	hostframework "github.com/annex-dev/annex/test/framework/host"
)

// frontProxy is an authority of a front proxy, and a certificate by it.
type frontProxy struct{ ca, cert, key []byte }

func newFrontProxy(t *testing.T, name string) frontProxy {
	t.Helper()
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fail(err)
	ca, err := certutil.NewSelfSignedCACert(certutil.Config{CommonName: "request-header"}, caKey)
	fail(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fail(err)
	cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: ca.NotBefore, NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca, key.Public(), caKey)
	fail(err)
	keyPEM, err := keyutil.MarshalPrivateKeyToPEM(key)
	fail(err)
	caPEM, err := certutil.EncodeCertificates(ca)
	fail(err)
	return frontProxy{ca: caPEM, cert: pem.EncodeToMemory(&pem.Block{Type: certutil.CertificateBlockType, Bytes: cert}), key: keyPEM}
}

// named is a front proxy's request on behalf of a user.
type named struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (n named) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Remote-User", "zoe")
	r.Header.Set("X-Remote-Group", "system:authenticated")
	return n.next.RoundTrip(r)
}

// announce says on the host how its front proxy is known.
func announce(t *testing.T, host *hostframework.Host, p frontProxy, names ...string) {
	t.Helper()
	client, _ := annex.Clients(t, host.Config())
	list := func(values ...string) string {
		text, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	maps := client.CoreV1().ConfigMaps(metav1.NamespaceSystem)
	annex.Eventually(t, func(ctx context.Context) error {
		found, err := maps.Get(ctx, "extension-apiserver-authentication", metav1.GetOptions{})
		missing := apierrors.IsNotFound(err)
		if missing {
			found = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "extension-apiserver-authentication"}}
		} else if err != nil {
			return err
		}
		if found.Data == nil {
			found.Data = map[string]string{}
		}
		found.Data["requestheader-client-ca-file"] = string(p.ca)
		found.Data["requestheader-username-headers"] = list("X-Remote-User")
		found.Data["requestheader-group-headers"] = list("X-Remote-Group")
		found.Data["requestheader-extra-headers-prefix"] = list("X-Remote-Extra-")
		found.Data["requestheader-allowed-names"] = list(names...)
		if missing {
			_, err = maps.Create(ctx, found, metav1.CreateOptions{})
		} else {
			_, err = maps.Update(ctx, found, metav1.UpdateOptions{})
		}
		return err
	})
}

// The host may renew the authority of its front proxy at any time.
func TestHost_FrontProxyIsFollowed(t *testing.T) {
	// A host that has no front proxy of its own leaves that part of the ConfigMap alone.
	host := hostframework.Start(t, hostframework.WithArgs("--requestheader-client-ca-file="))
	first, second := newFrontProxy(t, "front"), newFrontProxy(t, "front")
	announce(t, host, first, "front")
	own := &cluster{dir: t.TempDir(), host: host}
	kubeconfig, err := own.prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server := annex.Start(t, "--authentication-kubeconfig", kubeconfig, "--authorization-kubeconfig", kubeconfig)
	believed := func(p frontProxy) (bool, error) {
		config := rest.AnonymousClientConfig(server.Config(annex.ContextBase))
		config.CertData, config.KeyData = p.cert, p.key
		config.Wrap(func(next http.RoundTripper) http.RoundTripper { return named{next} })
		config.Host = server.Workspace("root").Host
		client, _ := annex.Clients(t, config)
		who, err := client.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		switch {
		// Known, but not let into root.
		case apierrors.IsForbidden(err):
			return true, nil
		case apierrors.IsUnauthorized(err):
			return false, nil
		case err != nil:
			return false, err
		}
		return who.Status.UserInfo.Username == "zoe", nil
	}
	expect := func(when string, wantFirst, wantSecond bool) {
		t.Helper()
		annex.Eventually(t, func(context.Context) error {
			gotFirst, err := believed(first)
			if err != nil {
				return err
			}
			gotSecond, err := believed(second)
			if err != nil {
				return err
			}
			if gotFirst != wantFirst || gotSecond != wantSecond {
				return fmt.Errorf("%s: the first is believed: %v, want %v; the second: %v, want %v", when, gotFirst, wantFirst, gotSecond, wantSecond)
			}
			return nil
		})
	}
	expect("at the start", true, false)
	announce(t, host, frontProxy{ca: append(append([]byte{}, first.ca...), second.ca...)}, "front")
	expect("while both authorities are announced", true, true)
	announce(t, host, second, "front")
	expect("after the old authority is gone", false, true)
	announce(t, host, second, "another")
	expect("after the name has changed", false, false)
	announce(t, host, second, "front")
	expect("in the end", false, true)
}
