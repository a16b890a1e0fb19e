package serving

import (
	"crypto/x509"
	"errors"
	"fmt"

	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	certutil "k8s.io/client-go/util/cert"
)

// covers returns an error if provider's certificate is not valid for a DNS name.
func covers(provider dynamiccertificates.CertKeyContentProvider, name string) error {
	leaf, err := leafOf(provider)
	if err != nil {
		return err
	}
	if err := leaf.VerifyHostname(name); err != nil {
		return fmt.Errorf("checking the serving certificate: %w", err)
	}
	return nil
}

// leafOf returns the first certificate of provider, without its intermediate certificates.
func leafOf(provider dynamiccertificates.CertKeyContentProvider) (*x509.Certificate, error) {
	content, _ := provider.CurrentCertKeyContent()
	certificates, err := certutil.ParseCertsPEM(content)
	if err != nil {
		return nil, fmt.Errorf("reading the serving certificate: %w", err)
	}
	if len(certificates) == 0 {
		return nil, errors.New("there is no serving certificate")
	}
	return certificates[0], nil
}
