package serving

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/server/secrets"
)

const (
	// checkInterval is the interval at which the CA is read again and the expiry of the certificate is checked.
	checkInterval = time.Minute
	// checkTimeout is the time limit for one such check.
	checkTimeout = 10 * time.Second
)

// Own is a certificate that the server makes for itself. A CA that all replicas share signs it. It is safe for many goroutines.
type Own struct {
	Bundle

	names []string
	store *secrets.Secret
	clock clock.WithTicker

	lock      sync.Mutex
	leaf      *x509.Certificate
	issuer    *x509.Certificate
	cert, key []byte
	listeners []dynamiccertificates.Listener
}

// NewOwn returns a certificate for names, which are DNS names and IP addresses. There is none before [Own.Load].
func NewOwn(names []string, clock clock.WithTicker) *Own {
	return &Own{names: slices.Clone(names), clock: clock}
}

// Load reads the CA, or makes one if there is none, and signs the first certificate. live must see every acknowledged write.
func (o *Own) Load(ctx context.Context, live client.Reader, writer client.Writer) error {
	o.store = &secrets.Secret{Name: SecretName, Description: description, Live: live, Writer: writer}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return o.check(ctx)
}

// Run renews certificate and CA until ctx ends. While storage cannot be read, nothing changes.
func (o *Own) Run(ctx context.Context) {
	ticker := o.clock.NewTicker(checkInterval)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
		bounded, cancel := context.WithTimeout(ctx, checkTimeout)
		err := o.check(bounded)
		cancel()
		if err != nil && ctx.Err() == nil && !failing {
			klog.FromContext(ctx).Error(err, "The serving certificate cannot be renewed; trying again")
		}
		failing = err != nil
	}
}

// check updates the bundle and the certificate.
func (o *Own) check(ctx context.Context) error {
	now := o.clock.Now()
	as, err := settle(ctx, o.store, now)
	if err != nil {
		return err
	}
	signer := as.signer(now)
	if signer == nil {
		return errors.New("no CA for serving certificates is valid now")
	}
	o.lock.Lock()
	current := o.leaf != nil && now.Before(renewalOf(o.leaf)) && o.issuer.Equal(signer.certificate)
	o.lock.Unlock()
	// Set the bundle first, because clients must know a CA before it signs a certificate.
	o.set(as.bundle())
	if current {
		return nil
	}
	return o.renew(ctx, now, signer)
}

// renewalOf returns the time to replace a certificate: after two thirds of its lifetime.
func renewalOf(leaf *x509.Certificate) time.Time {
	return leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 3 * 2)
}

// renew makes a new certificate and uses it from now on.
func (o *Own) renew(ctx context.Context, now time.Time, signer *pair) error {
	leaf, err := signer.issue(now, o.names)
	if err != nil {
		return fmt.Errorf("making the serving certificate: %w", err)
	}
	key, err := encodeKey(leaf.key)
	if err != nil {
		return err
	}
	o.lock.Lock()
	o.leaf, o.issuer = leaf.certificate, signer.certificate
	o.cert, o.key = encodeCertificate(leaf.certificate), key
	listeners := slices.Clone(o.listeners)
	o.lock.Unlock()
	for _, listener := range listeners {
		listener.Enqueue()
	}
	klog.FromContext(ctx).V(1).Info("Made a serving certificate", "names", o.names, "until", leaf.certificate.NotAfter)
	return nil
}

// Certificate returns the serving certificate.
func (o *Own) Certificate() dynamiccertificates.CertKeyContentProvider { return o }

// Covers returns an error if the certificate is not valid for a DNS name.
func (o *Own) Covers(name string) error { return covers(o, name) }

// Name implements dynamiccertificates.CertKeyContentProvider.
func (o *Own) Name() string { return "serving-cert" }

// CurrentCertKeyContent implements dynamiccertificates.CertKeyContentProvider.
func (o *Own) CurrentCertKeyContent() (cert, key []byte) {
	o.lock.Lock()
	defer o.lock.Unlock()
	return bytes.Clone(o.cert), bytes.Clone(o.key)
}

// AddListener implements dynamiccertificates.Notifier.
func (o *Own) AddListener(listener dynamiccertificates.Listener) {
	o.lock.Lock()
	defer o.lock.Unlock()
	o.listeners = append(o.listeners, listener)
}
