package authentication

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
)

const (
	// frontProxyConfigMap is the ConfigMap in kube-system with the configuration of a cluster's front proxy.
	frontProxyConfigMap = "extension-apiserver-authentication"
	// firstLookTimeout limits how long a start waits for a host that does not answer.
	firstLookTimeout = 5 * time.Second
)

// FrontProxy follows the configuration of the host's front proxy. Until it has been read, no headers are trusted.
type FrontProxy struct {
	ca      *dynamiccertificates.ConfigMapCAController
	headers *headerrequest.RequestHeaderAuthRequestController
}

var (
	_ dynamiccertificates.CAContentProvider = &FrontProxy{}
	_ dynamiccertificates.ControllerRunner  = &FrontProxy{}
)

// NewFrontProxy returns a FrontProxy that reads with client. It must be run. The stock server runs all providers of
// CAs for client certificates.
func NewFrontProxy(client kubernetes.Interface) (*FrontProxy, error) {
	ca, err := dynamiccertificates.NewDynamicCAFromConfigMapController("front-proxy", metav1.NamespaceSystem, frontProxyConfigMap, "requestheader-client-ca-file", client)
	if err != nil {
		return nil, fmt.Errorf("following the CA of the front proxy: %w", err)
	}
	return &FrontProxy{ca: ca, headers: headerrequest.NewRequestHeaderAuthRequestController(frontProxyConfigMap, metav1.NamespaceSystem, client,
		"requestheader-username-headers", "requestheader-uid-headers", "requestheader-group-headers",
		"requestheader-extra-headers-prefix", "requestheader-allowed-names")}, nil
}

// RequestHeader returns the configuration that identifies the front proxy.
func (f *FrontProxy) RequestHeader() *authenticatorfactory.RequestHeaderConfig {
	value := func(values func() []string) headerrequest.StringSliceProvider {
		return headerrequest.StringSliceProviderFunc(values)
	}
	return &authenticatorfactory.RequestHeaderConfig{
		CAContentProvider:   f,
		UsernameHeaders:     value(f.headers.UsernameHeaders),
		UIDHeaders:          value(f.headers.UIDHeaders),
		GroupHeaders:        value(f.headers.GroupHeaders),
		ExtraHeaderPrefixes: value(f.headers.ExtraHeaderPrefixes),
		AllowedClientNames:  value(f.headers.AllowedClientNames),
	}
}

// Ready returns an error while the front proxy is unknown.
func (f *FrontProxy) Ready() error {
	if _, ok := f.VerifyOptions(); !ok {
		return fmt.Errorf("ConfigMap kube-system/%s of the host has not been read", frontProxyConfigMap)
	}
	return nil
}

// Name implements dynamiccertificates.CAContentProvider.
func (f *FrontProxy) Name() string { return f.ca.Name() }

// CurrentCABundleContent implements dynamiccertificates.CAContentProvider.
func (f *FrontProxy) CurrentCABundleContent() []byte { return f.ca.CurrentCABundleContent() }

// AddListener implements dynamiccertificates.CAContentProvider.
func (f *FrontProxy) AddListener(listener dynamiccertificates.Listener) { f.ca.AddListener(listener) }

// VerifyOptions implements dynamiccertificates.CAContentProvider. CA and names are read separately, and an
// empty list of names would allow every name. So no certificate is valid before both are known.
func (f *FrontProxy) VerifyOptions() (x509.VerifyOptions, bool) {
	if len(f.headers.UsernameHeaders()) == 0 {
		return x509.VerifyOptions{}, false
	}
	return f.ca.VerifyOptions()
}

// RunOnce implements dynamiccertificates.ControllerRunner.
func (f *FrontProxy) RunOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, firstLookTimeout)
	defer cancel()
	return errors.Join(f.ca.RunOnce(ctx), f.headers.RunOnce(ctx))
}

// Run implements dynamiccertificates.ControllerRunner.
func (f *FrontProxy) Run(ctx context.Context, workers int) {
	go f.ca.Run(ctx, workers)
	f.headers.Run(ctx, workers)
}
