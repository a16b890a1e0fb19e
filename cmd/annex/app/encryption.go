package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/spf13/pflag"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/apiserver/pkg/server/options/encryptionconfig"
	encryptioncontroller "k8s.io/apiserver/pkg/server/options/encryptionconfig/controller"
	encryptionmetrics "k8s.io/apiserver/pkg/server/options/encryptionconfig/metrics"
	"k8s.io/apiserver/pkg/storage/value"
)

// EncryptionOptions say how objects are encrypted in etcd. They are those of kube-apiserver.
type EncryptionOptions struct {
	// ConfigFile is an EncryptionConfiguration; empty if objects are stored as they are.
	ConfigFile string
	// Reload reads the file again when it changes.
	Reload bool
}

// AddFlags adds a flag for every option.
func (o *EncryptionOptions) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.ConfigFile, "encryption-provider-config", o.ConfigFile, "File with an EncryptionConfiguration (apiserver.config.k8s.io/v1): which resources are encrypted in etcd, and with which keys. It must be the same for all servers. Default: nothing is encrypted.")
	fs.BoolVar(&o.Reload, "encryption-provider-config-automatic-reload", o.Reload, "Read the file of --encryption-provider-config again when it changes, within a minute. The health of all KMS plugins is then one check, kms-providers.")
}

// validate returns every fault.
func (o *EncryptionOptions) validate() []error {
	if o.Reload && o.ConfigFile == "" {
		return []error{errors.New("--encryption-provider-config-automatic-reload has no effect without --encryption-provider-config")}
	}
	return nil
}

// encryption is what a server encrypts with. Without a file, it is empty.
type encryption struct {
	// resources has the transformer of each resource; nil without a file.
	resources value.ResourceTransformers
	// checks are the health checks of KMS plugins.
	checks []healthz.HealthChecker
	// follow follows the file until its context ends; nil if it is read once.
	follow func(context.Context)
}

// ready returns nil if all KMS plugins have keys. Before they had some once, nothing can be read that they have encrypted.
func (e encryption) ready(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "/readyz", nil)
	if err != nil {
		return err
	}
	var errs []error
	for _, check := range e.checks {
		if err := check.Check(request); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", check.Name(), err))
		}
	}
	return errors.Join(errs...)
}

// load reads the file. Until ctx ends, KMS plugins are asked for their state.
func (o *EncryptionOptions) load(ctx context.Context) (encryption, error) {
	if o.ConfigFile == "" {
		return encryption{}, nil
	}
	id, err := serverID()
	if err != nil {
		return encryption{}, err
	}
	transformers, closeTransformers := context.WithCancel(ctx)
	loaded, err := o.read(transformers, closeTransformers, id)
	if err != nil {
		closeTransformers()
		return encryption{}, fmt.Errorf("--encryption-provider-config %s: %w", o.ConfigFile, err)
	}
	return loaded, nil
}

func (o *EncryptionOptions) read(ctx context.Context, closeTransformers context.CancelFunc, id string) (encryption, error) {
	config, err := encryptionconfig.LoadEncryptionConfig(ctx, o.ConfigFile, o.Reload, id)
	if err != nil {
		return encryption{}, err
	}
	encryptionmetrics.RecordEncryptionConfigLastConfigInfo(id, config.EncryptionFileContentHash)
	if !o.Reload {
		return encryption{resources: encryptionconfig.StaticTransformers(config.Transformers), checks: config.HealthChecks}, nil
	}
	if len(config.HealthChecks) != 1 {
		return encryption{}, fmt.Errorf("the library has %d health checks instead of one for all plugins", len(config.HealthChecks))
	}
	dynamic := encryptionconfig.NewDynamicTransformers(config.Transformers, config.HealthChecks[0], closeTransformers, config.KMSCloseGracePeriod)
	return encryption{
		resources: dynamic,
		checks:    []healthz.HealthChecker{dynamic},
		follow: encryptioncontroller.NewDynamicEncryptionConfiguration(
			"encryption-provider-config", o.ConfigFile, dynamic, config.EncryptionFileContentHash, id).Run,
	}, nil
}

// serverID returns what tells this server apart from others in metrics, which show its hash.
func serverID() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("finding the name of the machine: %w", err)
	}
	return "annex-" + host, nil
}

// followEncryption follows the configuration, and has objects read again that it could not decrypt before.
func (s *Server) followEncryption(hook genericapiserver.PostStartHookContext) error {
	if follow := s.store.encryption.follow; follow != nil {
		go follow(hook.Context)
	}
	go s.store.backend.Heal(hook.Context)
	return nil
}
