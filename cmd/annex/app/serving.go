package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/annex-dev/annex/server/serving"
)

// certificates provides the serving certificate and the CA bundle that clients verify it with. The server makes them, or reads
// them from given files.
type certificates interface {
	Certificate() dynamiccertificates.CertKeyContentProvider
	Watch() (bundle []byte, outdated <-chan struct{})
	Covers(name string) error
	Run(ctx context.Context)
}

// addServingFlags adds the stock flags, except those that have another meaning here.
func (o *Options) addServingFlags(fs *pflag.FlagSet) {
	stock := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.Serving.AddFlags(stock)
	stock.Lookup("secure-port").Usage = "The port on which to serve HTTPS. 0 selects a free port."
	stock.Lookup("tls-cert-file").Usage = "Serving certificate in PEM format, followed by intermediate certificates. The file is read again when it changes. Default: the server makes and renews a certificate, signed by a CA in its own storage."
	stock.Lookup("tls-private-key-file").Usage = "Private key of --tls-cert-file, in PEM format."
	stock.VisitAll(func(f *pflag.Flag) {
		if f.Name != "cert-dir" {
			fs.AddFlag(f)
		}
	})
	fs.StringVar(&o.ServingCAFile, "serving-ca-file", o.ServingCAFile, "CA with which clients verify --tls-cert-file, in PEM format. The file is read again when it changes. Default: the certificate file itself.")
	fs.StringSliceVar(&o.ServingNames, "tls-san", o.ServingNames, "More DNS names and IP addresses in the certificate that the server makes. It always contains localhost, the bind address and the host of --shard-external-url.")
}

// validateServing returns every fault of the options about certificates, except faults in files.
func (o *Options) validateServing() (errs []error) {
	pair := o.Serving.ServerCert.CertKey
	given := pair.CertFile != "" || pair.KeyFile != ""
	if (pair.CertFile == "") != (pair.KeyFile == "") {
		errs = append(errs, errors.New("--tls-cert-file and --tls-private-key-file: set both or neither"))
	}
	if o.ServingCAFile != "" && !given {
		errs = append(errs, errors.New("--serving-ca-file: has no effect without --tls-cert-file"))
	}
	if len(o.ServingNames) > 0 && given {
		errs = append(errs, errors.New("--tls-san: has no effect with --tls-cert-file, because the names are in that file"))
	}
	for _, name := range o.ServingNames {
		if net.ParseIP(name) == nil && len(validation.IsDNS1123Subdomain(strings.TrimPrefix(name, "*."))) > 0 {
			errs = append(errs, fmt.Errorf("--tls-san %q: must be a DNS name or an IP address", name))
		}
	}
	return errs
}

// certificates returns the certificate of the server. If the server makes it, loadCertificates must run before the first request.
func (o *Options) certificates(external string) (certificates, error) {
	if pair := o.Serving.ServerCert.CertKey; pair.CertFile != "" {
		return serving.NewFiles(pair.CertFile, pair.KeyFile, o.ServingCAFile)
	}
	names := []string{"localhost", "127.0.0.1", "::1"}
	if !o.Serving.BindAddress.IsUnspecified() {
		names = append(names, o.Serving.BindAddress.String())
	}
	if u, err := url.Parse(external); err == nil {
		names = append(names, u.Hostname())
	}
	names = append(names, o.ServingNames...)
	slices.Sort(names)
	return serving.NewOwn(slices.Compact(names), clock.RealClock{}), nil
}

// loadCertificates makes sure that there is a certificate. If it is stored in the server itself, that waits for etcd.
func (s *Server) loadCertificates(ctx context.Context) error {
	own, ok := s.certificates.(*serving.Own)
	if !ok {
		return nil
	}
	if err := s.store.wait(ctx); err != nil {
		return err
	}
	if err := own.Load(ctx, s.server.Client.Live(), s.server.Client); err != nil {
		return fmt.Errorf("making the serving certificate: %w", err)
	}
	return nil
}

// writeKubeconfig writes the admin kubeconfig with the CA bundle. On an external etcd, its tokens are those of all replicas. Nobody is
// let in with them before.
func (s *Server) writeKubeconfig(ctx context.Context) error {
	if s.admins == nil {
		return nil
	}
	if len(s.options.EtcdServers) > 0 {
		if err := s.admins.Share(ctx, s.server.Client.Live(), s.server.Client); err != nil {
			return fmt.Errorf("sharing the admin kubeconfig with other replicas: %w", err)
		}
	}
	bundle, _ := s.certificates.Watch()
	if err := s.admins.Write(s.options.ShardExternalURL, bundle); err != nil {
		return fmt.Errorf("writing the admin kubeconfig: %w", err)
	}
	return nil
}

// followCertificates renews the certificate and updates the kubeconfig while the server runs.
func (s *Server) followCertificates(hook genericapiserver.PostStartHookContext) error {
	go s.certificates.Run(hook)
	if s.admins != nil {
		go s.followBundle(hook)
	}
	return nil
}

// followBundle writes the kubeconfig again whenever the CA bundle has changed.
func (s *Server) followBundle(ctx context.Context) {
	_, outdated := s.certificates.Watch()
	for {
		select {
		case <-ctx.Done():
			return
		case <-outdated:
		}
		var bundle []byte
		if bundle, outdated = s.certificates.Watch(); len(bundle) == 0 {
			continue
		}
		if err := s.admins.Refresh(s.options.ShardExternalURL, bundle); err != nil {
			klog.FromContext(ctx).Error(err, "The admin kubeconfig does not contain the new CA")
		}
	}
}
