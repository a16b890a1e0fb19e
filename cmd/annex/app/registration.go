package app

import (
	"fmt"

	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	"github.com/annex-dev/annex/controllers/apiservice"
)

// hostWriteQPS and hostWriteBurst bound what is written on the host; there are few APIServices.
const hostWriteQPS, hostWriteBurst = 10, 20

// registration returns what reaches the APIServices of the host; nil without a host, and when nobody is to care for them.
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

// newRegistrar returns what registers APIs with the host; nil when nobody is to do so.
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
