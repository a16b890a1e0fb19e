package app

import (
	"fmt"

	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	"github.com/annex-dev/annex/controllers/apiservice"
)

// hostWriteQPS and hostWriteBurst limit writes on the host. They are low because there are few APIServices.
const hostWriteQPS, hostWriteBurst = 10, 20

// registration returns a client for the APIServices of the host; nil without a host, or if the server registers none.
func (o *HostOptions) registration() (aggregator.Interface, error) {
	if o.Workspace == "" || o.APIService == "" {
		return nil, nil //nolint:nilnil // left alone, as asked for
	}
	config, err := hostConfig("authentication-kubeconfig", o.AuthenticationKubeconfig)
	if err != nil || config == nil {
		return nil, err
	}
	config.QPS, config.Burst = hostWriteQPS, hostWriteBurst
	client, err := aggregator.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("--authentication-kubeconfig: %w", err)
	}
	return client, nil
}

// newRegistrar returns the registrar of APIs with the host; nil if the server registers none.
func (s *Server) newRegistrar() (*apiservice.Registrar, error) {
	if s.registration == nil {
		return nil, nil //nolint:nilnil // left alone, as asked for
	}
	registrar, err := apiservice.New(apiservice.Config{
		Client:   s.registration,
		Anchor:   s.options.Host.APIService,
		Static:   s.server.HostVersions(),
		CABundle: s.certificates.Watch,
		Covers:   s.certificates.Covers,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing to register APIs with the host: %w", err)
	}
	return registrar, nil
}
