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

// certificates is what the server shows and how clients verify it: given files, or made by the server.
type certificates interface {
	Certificate() dynamiccertificates.CertKeyContentProvider
	Watch() (bundle []byte, outdated <-chan struct{})
	Covers(name string) error
	Run(ctx context.Context)
}

// addServingFlags adds the stock flags but for those that mean something else here.
func (o *Options) addServingFlags(fs *pflag.FlagSet) {
	stock := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.Serving.AddFlags(stock)
	stock.Lookup("secure-port").Usage = "The port on which to serve HTTPS. 0 picks a free one."
	stock.Lookup("tls-cert-file").Usage = "Serving certificate, PEM, followed by those that link it to its CA; read again when it changes. Default: made and renewed by the server, by a CA in its own storage."
	stock.Lookup("tls-private-key-file").Usage = "Key of --tls-cert-file, PEM."
	stock.VisitAll(func(f *pflag.Flag) {
		if f.Name != "cert-dir" {
			fs.AddFlag(f)
		}
	})
	fs.StringVar(&o.ServingCAFile, "serving-ca-file", o.ServingCAFile, "CA by which clients verify --tls-cert-file, PEM; read again when it changes. Default: that file itself.")
	fs.StringSliceVar(&o.ServingNames, "tls-san", o.ServingNames, "DNS names and IP addresses for which the certificate that the server makes is good, beside localhost, the bind address and the host of --shard-external-url.")
}

// validateServing returns every fault of the options about certificates but those of files.
func (o *Options) validateServing() (errs []error) {
	pair := o.Serving.ServerCert.CertKey
	given := pair.CertFile != "" || pair.KeyFile != ""
	if (pair.CertFile == "") != (pair.KeyFile == "") {
		errs = append(errs, errors.New("--tls-cert-file and --tls-private-key-file: give both or none"))
	}
	if o.ServingCAFile != "" && !given {
		errs = append(errs, errors.New("--serving-ca-file: means nothing without --tls-cert-file"))
	}
	if len(o.ServingNames) > 0 && given {
		errs = append(errs, errors.New("--tls-san: means nothing with --tls-cert-file, whose names stand in the file"))
	}
	for _, name := range o.ServingNames {
		if net.ParseIP(name) == nil && len(validation.IsDNS1123Subdomain(strings.TrimPrefix(name, "*."))) > 0 {
			errs = append(errs, fmt.Errorf("--tls-san %q: must be a DNS name or an IP address", name))
		}
	}
	return errs
}

// certificates returns the certificate of the server. One that the server makes must be loaded before it is shown.
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

// loadCertificates makes sure that there is something to show, and writes the kubeconfig by which one verifies it.
func (s *Server) loadCertificates(ctx context.Context) error {
	if own, ok := s.certificates.(*serving.Own); ok {
		if err := own.Load(ctx, s.server.Client.Live(), s.server.Client); err != nil {
			return fmt.Errorf("making the serving certificate: %w", err)
		}
	}
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

// followCertificates renews the certificate and keeps the kubeconfig right for as long as the server runs.
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
			klog.FromContext(ctx).Error(err, "The admin kubeconfig does not hold the new CA")
		}
	}
}
