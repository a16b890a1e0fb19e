package serving

import (
	"context"
	"fmt"

	"k8s.io/apiserver/pkg/server/dynamiccertificates"
)

// Files are the certificate, the key and the CA bundle in files. They are read again when they change. If a new certificate and key do
// not match, the previous pair stays in use.
type Files struct {
	Bundle

	pair *dynamiccertificates.DynamicCertKeyPairContent
	ca   *dynamiccertificates.DynamicFileCAContent
}

// NewFiles reads the files. If caFile is empty, certFile is used, and the bundle changes together with the certificate.
func NewFiles(certFile, keyFile, caFile string) (*Files, error) {
	if caFile == "" {
		caFile = certFile
	}
	f := &Files{}
	var err error
	if f.pair, err = dynamiccertificates.NewDynamicServingContentFromFiles("serving-cert", certFile, keyFile); err != nil {
		return nil, fmt.Errorf("reading the serving certificate in %s and %s: %w", certFile, keyFile, err)
	}
	if f.ca, err = dynamiccertificates.NewDynamicCAContentFromFile("serving-ca", caFile); err != nil {
		return nil, fmt.Errorf("reading the CA of the serving certificate in %s: %w", caFile, err)
	}
	f.ca.AddListener(f)
	f.Enqueue()
	return f, nil
}

// Enqueue implements dynamiccertificates.Listener: the file of the CA has changed.
func (f *Files) Enqueue() { f.set(certificatesIn(f.ca.CurrentCABundleContent())) }

// Certificate returns the serving certificate. The generic API server runs the provider.
func (f *Files) Certificate() dynamiccertificates.CertKeyContentProvider { return f.pair }

// Covers returns an error if the certificate is not valid for a DNS name.
func (f *Files) Covers(name string) error { return covers(f.pair, name) }

// Run follows the file of the CA until ctx ends.
func (f *Files) Run(ctx context.Context) { f.ca.Run(ctx, 1) }
