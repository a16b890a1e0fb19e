package certificate

import (
	"crypto/x509"
	"encoding/pem"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// answered is how long a request stays that somebody has issued a certificate for, or has refused.
	answered = time.Hour
	// unanswered is how long others stay.
	unanswered = 24 * time.Hour
)

// due reports whether a request is no longer needed.
func due(csr *certificatesv1.CertificateSigningRequest, now time.Time) bool {
	if len(csr.Status.Conditions) == 0 {
		return older(csr.CreationTimestamp, unanswered, now)
	}
	issued := len(csr.Status.Certificate) > 0
	for _, c := range csr.Status.Conditions {
		switch c.Type {
		case certificatesv1.CertificateDenied, certificatesv1.CertificateFailed:
			if older(c.LastUpdateTime, answered, now) {
				return true
			}
		case certificatesv1.CertificateApproved:
			limit := unanswered
			if issued {
				limit = answered
			}
			if older(c.LastUpdateTime, limit, now) || issued && expired(csr.Status.Certificate, now) {
				return true
			}
		}
	}
	return false
}

// older reports whether then is known and more than d before now.
func older(then metav1.Time, d time.Duration, now time.Time) bool {
	return !then.IsZero() && now.Sub(then.Time) > d
}

// expired reports whether the first certificate of a chain has expired. What cannot be read has not.
func expired(chain []byte, now time.Time) bool {
	block, _ := pem.Decode(chain)
	if block == nil {
		return false
	}
	parsed, err := x509.ParseCertificates(block.Bytes)
	return err == nil && len(parsed) > 0 && now.After(parsed[0].NotAfter)
}
