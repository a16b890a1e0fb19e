package install

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// secureEtcd is an external etcd that talks TLS only, and only to who shows a certificate of its CA.
type secureEtcd struct {
	// address is a host and a port.
	address string
	// caFile, certFile and keyFile are for clients.
	caFile, certFile, keyFile string
	server                    *embed.Etcd
}

// startSecureEtcd runs an etcd on the loopback interface that keeps its files in dir.
func startSecureEtcd(dir string) (*secureEtcd, error) {
	e := &secureEtcd{caFile: filepath.Join(dir, "ca.crt"), certFile: filepath.Join(dir, "tls.crt"), keyFile: filepath.Join(dir, "tls.key")}
	if err := errors.Join(os.Mkdir(dir, 0o700), e.writeCertificates()); err != nil {
		return nil, fmt.Errorf("making certificates for etcd: %w", err)
	}
	config := embed.NewConfig()
	config.Name = "external"
	config.Dir = filepath.Join(dir, "data")
	config.ListenPeerUrls = nil
	config.ListenClientUrls = []url.URL{{Scheme: "https", Host: "127.0.0.1:0"}}
	config.AdvertiseClientUrls = config.ListenClientUrls
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.ClientTLSInfo.CertFile, config.ClientTLSInfo.KeyFile = e.certFile, e.keyFile
	config.ClientTLSInfo.TrustedCAFile, config.ClientTLSInfo.ClientCertAuth = e.caFile, true
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	config.UnsafeNoFsync = true
	server, err := embed.StartEtcd(config)
	if err != nil {
		return nil, fmt.Errorf("starting etcd: %w", err)
	}
	e.server = server
	select {
	case <-server.Server.ReadyNotify():
	case <-time.After(2 * time.Minute):
		e.stop()
		return nil, errors.New("etcd is not ready after a minute")
	}
	e.address = server.Clients[0].Addr().String()
	return e, nil
}

// stop ends the etcd; again is nothing.
func (e *secureEtcd) stop() {
	if e.server != nil {
		e.server.Close()
		e.server = nil
	}
}

// writeCertificates writes a CA, and one certificate of it for the server and its clients alike.
func (e *secureEtcd) writeCertificates() error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "etcd-ca"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "etcd"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	encodedKey, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		writeCertificate(e.caFile, ca, ca, caKey.Public(), caKey),
		writeCertificate(e.certFile, leaf, ca, key.Public(), caKey),
		writePEM(e.keyFile, "EC PRIVATE KEY", encodedKey))
}

func writeCertificate(path string, certificate, parent *x509.Certificate, key crypto.PublicKey, signer crypto.Signer) error {
	der, err := x509.CreateCertificate(rand.Reader, certificate, parent, key, signer)
	if err != nil {
		return err
	}
	return writePEM(path, "CERTIFICATE", der)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
