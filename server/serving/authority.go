package serving

import (
	"bytes"
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
	"slices"
	"time"

	certutil "k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

const (
	day = 24 * time.Hour

	// authorityLife is how long a CA is valid. Its successor is made renewAuthority before its end, and is in the bundle for
	// publishAuthority before it signs. A certificate is valid for at most leafLife, so it ends before its CA.
	authorityLife    = 10 * 365 * day
	renewAuthority   = 2 * 365 * day
	publishAuthority = 30 * day

	// leafLife is how long a certificate is valid. It is renewed after two thirds of that time.
	leafLife = 365 * day

	// clockSkew is how far the clock of a client may be behind, and authoritySkew the clock of another replica.
	clockSkew     = time.Hour
	authoritySkew = day
)

// pair is a certificate and its key: of a CA, or of a server.
type pair struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// newAuthority returns a new CA.
func newAuthority(now time.Time) (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	// The name differs from the name of every other CA, because verifiers find the issuer by its name.
	name := pkix.Name{CommonName: fmt.Sprintf("annex-serving-ca@%d", now.Unix()), SerialNumber: serial.Text(16)}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               name,
		NotBefore:             now.Add(-authoritySkew),
		NotAfter:              now.Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	return sign(template, template, key, key)
}

// sign returns the certificate that template describes, for the key of its owner.
func sign(template, issuer *x509.Certificate, owner, signer crypto.Signer) (*pair, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, owner.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate back: %w", err)
	}
	return &pair{certificate: certificate, key: owner}, nil
}

func serialNumber() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("making a serial number: %w", err)
	}
	return serial.Add(serial, big.NewInt(1)), nil
}

// issue returns a serving certificate for names, which are DNS names and IP addresses.
func (a *pair) issue(now time.Time, names []string) (*pair, error) {
	owner, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	end := now.Add(leafLife)
	if a.certificate.NotAfter.Before(end) {
		end = a.certificate.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "annex"},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              end,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return sign(template, a.certificate, owner, a.key)
}

func encodeCertificate(certificate *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certutil.CertificateBlockType, Bytes: certificate.Raw})
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	encoded, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return nil, errors.New("encoding a key failed") // the error might contain parts of the key
	}
	return encoded, nil
}

// authorities are the known CAs, oldest first.
type authorities []*pair

// parse reads certificates and their keys, both in PEM format and in the same order.
func parse(certificates, keys []byte) (authorities, error) {
	parsed, err := certutil.ParseCertsPEM(certificates)
	if err != nil {
		return nil, fmt.Errorf("reading certificates: %w", err)
	}
	var all authorities
	for _, certificate := range parsed {
		var block *pem.Block
		if block, keys = pem.Decode(keys); block == nil {
			return nil, errors.New("there are more certificates than keys")
		}
		decoded, err := keyutil.ParsePrivateKeyPEM(pem.EncodeToMemory(block))
		if err != nil {
			return nil, errors.New("a key cannot be read")
		}
		key, ok := decoded.(*ecdsa.PrivateKey)
		if !ok || !key.PublicKey.Equal(certificate.PublicKey) {
			return nil, fmt.Errorf("the key does not belong to certificate %q", certificate.Subject)
		}
		if !certificate.IsCA {
			return nil, fmt.Errorf("certificate %q is not a CA certificate", certificate.Subject)
		}
		all = append(all, &pair{certificate: certificate, key: key})
	}
	slices.SortStableFunc(all, func(a, b *pair) int { return a.certificate.NotBefore.Compare(b.certificate.NotBefore) })
	return all, nil
}

// encode is the opposite of parse.
func (as authorities) encode() (certificates, keys []byte, err error) {
	var out bytes.Buffer
	for _, a := range as {
		key, err := encodeKey(a.key)
		if err != nil {
			return nil, nil, err
		}
		out.Write(key)
	}
	return as.bundle(), out.Bytes(), nil
}

// unexpired returns the CAs that have not expired. It includes CAs that are not valid yet, because the clock of their maker may be
// ahead of ours.
func (as authorities) unexpired(now time.Time) authorities {
	return slices.DeleteFunc(slices.Clone(as), func(a *pair) bool { return !now.Before(a.certificate.NotAfter) })
}

// bundle returns the certificates in PEM format.
func (as authorities) bundle() []byte {
	var out bytes.Buffer
	for _, a := range as {
		out.Write(encodeCertificate(a.certificate))
	}
	return out.Bytes()
}

// valid returns the CAs that are valid now.
func (as authorities) valid(now time.Time) authorities {
	return slices.DeleteFunc(as.unexpired(now), func(a *pair) bool { return now.Before(a.certificate.NotBefore) })
}

// due reports whether a new CA must be made.
func (as authorities) due(now time.Time) bool {
	valid := as.valid(now)
	return len(valid) == 0 || !now.Before(valid[len(valid)-1].certificate.NotAfter.Add(-renewAuthority))
}

// next returns the CAs that have not expired, and a new one. It shares the former with as.
func (as authorities) next(now time.Time) (authorities, error) {
	added, err := newAuthority(now)
	if err != nil {
		return nil, fmt.Errorf("making a CA: %w", err)
	}
	return append(as.unexpired(now), added), nil
}

// signer returns the CA that signs now: the newest CA that has been published for long enough, or else the oldest one; nil if
// none is valid now.
func (as authorities) signer(now time.Time) *pair {
	valid := as.valid(now)
	if len(valid) == 0 {
		return nil
	}
	for _, a := range slices.Backward(valid) {
		if !now.Before(a.certificate.NotBefore.Add(authoritySkew + publishAuthority)) {
			return a
		}
	}
	return valid[0]
}
