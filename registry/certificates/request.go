package certificates

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// Limits of what is checked. Without them, a tenant could make the server work for minutes on one signature, and repeat a body of
// megabytes many times in errors.
const (
	maxRequestBytes = 128 << 10
	maxRSABits      = 16 << 10
	maxUsages       = 100
	maxConditions   = 100
)

// Parse returns the PKCS#10 request in a PEM block, with a key of a size that its signature can be checked with.
func Parse(data []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("PEM block type must be CERTIFICATE REQUEST")
	}
	parsed, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	if key, ok := parsed.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSABits {
		return nil, fmt.Errorf("an RSA key may have at most %d bits", maxRSABits)
	}
	return parsed, nil
}

// checkRequest returns an error unless data is a request that whoever has its key has signed.
func checkRequest(data []byte) error {
	parsed, err := Parse(data)
	if err != nil {
		return err
	}
	return parsed.CheckSignature()
}

// checkCertificate returns an error unless data is empty or a chain of certificates.
func checkCertificate(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	found := false
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		found = true
		switch {
		case block.Type != "CERTIFICATE":
			return fmt.Errorf("only CERTIFICATE PEM blocks are allowed, found %q", block.Type)
		case len(block.Headers) > 0:
			return errors.New("no PEM block headers are permitted")
		}
		parsed, err := x509.ParseCertificates(block.Bytes)
		if err != nil {
			return err
		}
		if len(parsed) == 0 {
			return errors.New("found CERTIFICATE PEM block containing 0 certificates")
		}
	}
	if !found {
		return errors.New("must contain at least one CERTIFICATE PEM block")
	}
	return nil
}
