package host

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// certificateLife is how long leaf certificates last. Hosts live for one test
// or one benchmark.
const certificateLife = 24 * time.Hour

// certificateFiles are paths of PEM files, as kube-apiserver wants them.
type certificateFiles struct {
	ca                      string // signs the serving certificate and clients
	serving, servingKey     string
	serviceAccountKey       string
	requestHeaderCA         string // signs only the front-proxy client below
	proxyClient, proxyKey   string
	proxyClientCommonName   string
	serviceAccountIssuerURL string
}

// authority is a certificate authority held in memory.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// writeCertificates makes two authorities and everything kube-apiserver needs
// of them, as files in dir. It returns the authority that signs clients.
//
// The front proxy has an authority of its own: whoever holds a certificate of
// it may claim to be any user, so client certificates must not chain to it.
func writeCertificates(dir string) (certificateFiles, *authority, error) {
	if err := makeDir(dir); err != nil {
		return certificateFiles{}, nil, err
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	files := certificateFiles{
		ca:      in("ca.crt"),
		serving: in("serving.crt"), servingKey: in("serving.key"),
		serviceAccountKey: in("service-account.key"),
		requestHeaderCA:   in("request-header-ca.crt"),
		proxyClient:       in("proxy-client.crt"), proxyKey: in("proxy-client.key"),
		proxyClientCommonName:   "front-proxy-client",
		serviceAccountIssuerURL: "https://kubernetes.default.svc.cluster.local",
	}
	ca, err := newAuthority("host-ca")
	if err != nil {
		return files, nil, err
	}
	proxyCA, err := newAuthority("host-request-header-ca")
	if err != nil {
		return files, nil, err
	}
	serving, servingKey, err := ca.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		// The second address is that of the Service kubernetes, which pods use.
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)},
		DNSNames: []string{
			"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		},
	})
	if err != nil {
		return files, nil, err
	}
	proxyClient, proxyKey, err := proxyCA.clientCertificate(files.proxyClientCommonName)
	if err != nil {
		return files, nil, err
	}
	serviceAccountKey, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return files, nil, fmt.Errorf("making the service-account key: %w", err)
	}
	caPEM, err := ca.pem()
	if err != nil {
		return files, nil, err
	}
	proxyCAPEM, err := proxyCA.pem()
	if err != nil {
		return files, nil, err
	}
	for path, data := range map[string][]byte{
		files.ca:      caPEM,
		files.serving: serving, files.servingKey: servingKey,
		files.serviceAccountKey: serviceAccountKey,
		files.requestHeaderCA:   proxyCAPEM,
		files.proxyClient:       proxyClient, files.proxyKey: proxyKey,
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return files, nil, fmt.Errorf("writing a PEM file: %w", err)
		}
	}
	return files, ca, nil
}

func newAuthority(name string) (*authority, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	c, err := cert.NewSelfSignedCACert(cert.Config{CommonName: name}, key)
	if err != nil {
		return nil, fmt.Errorf("making the certificate of %s: %w", name, err)
	}
	return &authority{certificate: c, key: key}, nil
}

// newKey makes an elliptic key: an RSA key would cost half a second each.
func newKey() (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return key, nil
}

func (a *authority) pem() ([]byte, error) {
	data, err := cert.EncodeCertificates(a.certificate)
	if err != nil {
		return nil, fmt.Errorf("encoding the certificate of %s: %w", a.certificate.Subject.CommonName, err)
	}
	return data, nil
}

// clientCertificate returns the PEM of a certificate that kube-apiserver reads
// as the given user and groups, and the PEM of its key.
func (a *authority) clientCertificate(user string, groups ...string) (certPEM, keyPEM []byte, err error) {
	return a.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// sign completes the template, makes a key for it, and returns both as PEM.
func (a *authority) sign(template *x509.Certificate) (certPEM, keyPEM []byte, err error) {
	name := template.Subject.CommonName
	key, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, fmt.Errorf("choosing a serial number: %w", err)
	}
	template.SerialNumber = serial
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.NotBefore = a.certificate.NotBefore
	template.NotAfter = time.Now().Add(certificateLife)

	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("signing the certificate of %s: %w", name, err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("parsing the certificate of %s: %w", name, err)
	}
	certPEM, err = cert.EncodeCertificates(leaf)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the certificate of %s: %w", name, err)
	}
	keyPEM, err = keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the key of %s: %w", name, err)
	}
	return certPEM, keyPEM, nil
}
