package app

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"

	"k8s.io/apiserver/pkg/audit/policy"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	genericfeatures "k8s.io/apiserver/pkg/features"
	genericapiserver "k8s.io/apiserver/pkg/server"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	utilfeature "k8s.io/apiserver/pkg/util/feature"

	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server"
	"github.com/annex-dev/annex/server/authentication"
	"github.com/annex-dev/annex/server/authentication/admin"
)

// setGates turns off features of the stock libraries that do not take logical clusters into account.
func setGates() error {
	gates := utilfeature.DefaultMutableFeatureGate
	if err := storage.DisableUnscopedGates(gates); err != nil {
		return err
	}
	// It caches decisions by user alone, so a permission in one workspace would also count in another.
	if err := gates.SetFromMap(map[string]bool{string(genericfeatures.ConstrainedImpersonation): false}); err != nil {
		return fmt.Errorf("turning off constrained impersonation: %w", err)
	}
	return nil
}

// prepareDirectory makes sure that the root directory exists and that other users cannot enter it.
func (o *Options) prepareDirectory() error {
	if err := os.MkdirAll(o.RootDirectory, 0o700); err != nil {
		return fmt.Errorf("--root-directory: %w", err)
	}
	return nil
}

// check returns the faults in the files that the flags name.
func (o *Options) check() error {
	if _, err := authentication.New(o.logins(o.ShardExternalURL)); err != nil {
		return err
	}
	if err := o.Logins.check(); err != nil {
		return err
	}
	if _, err := o.authorization(); err != nil {
		return err
	}
	if o.Audit.PolicyFile != "" {
		if _, err := policy.LoadPolicyFromFile(o.Audit.PolicyFile); err != nil {
			return fmt.Errorf("--audit-policy-file: %w", err)
		}
	}
	if !slices.Contains(o.BatteriesIncluded, BatteryAdmin) {
		return nil
	}
	return admin.Check(o.RootDirectory, o.KubeconfigPath)
}

// listen starts to listen on the port.
func (o *Options) listen() error {
	address := net.JoinHostPort(o.Serving.BindAddress.String(), strconv.Itoa(o.Serving.BindPort))
	listener, port, err := genericoptions.CreateListener("tcp", address, net.ListenConfig{})
	if err != nil {
		return fmt.Errorf("--secure-port: listening on %s: %w; stop the process that uses the port, or set another port (0 selects a free one)", address, err)
	}
	o.Serving.Listener, o.Serving.BindPort = listener, port
	return nil
}

// addresses returns the URLs that workspaces show. Call it after listen, which sets the port.
func (o *Options) addresses() server.Addresses {
	host := o.Serving.BindAddress
	if host.IsUnspecified() {
		host = net.IPv4(127, 0, 0, 1)
	}
	external := "https://" + net.JoinHostPort(host.String(), strconv.Itoa(o.Serving.BindPort))
	setDefault(&o.ShardExternalURL, external)
	setDefault(&o.ShardBaseURL, o.ShardExternalURL)
	setDefault(&o.ShardVirtualURL, o.ShardExternalURL)
	return server.Addresses{Base: o.ShardBaseURL, External: o.ShardExternalURL, Virtual: o.ShardVirtualURL}
}

// administrators returns the authenticator for the tokens of the admin kubeconfig, which is written later. It returns nil without
// BatteryAdmin.
func (s *Server) administrators() (authenticator.Token, error) {
	if !slices.Contains(s.options.BatteriesIncluded, BatteryAdmin) {
		return nil, nil //nolint:nilnil // nobody is generated, as asked for
	}
	var err error
	if s.admins, err = admin.Prepare(s.options.RootDirectory, s.options.KubeconfigPath); err != nil {
		return nil, err
	}
	return s.admins.Authenticator(), nil
}

// applyServing sets listener, certificates, loopback client and audit.
func (s *Server) applyServing(c *genericapiserver.Config) error {
	if err := s.options.Serving.ApplyTo(&c.SecureServing, &c.LoopbackClientConfig); err != nil {
		return fmt.Errorf("preparing to serve: %w", err)
	}
	c.SecureServing.Cert = s.certificates.Certificate()
	if err := s.options.Audit.ApplyTo(c); err != nil {
		return fmt.Errorf("preparing the audit log: %w", err)
	}
	return nil
}
