package app

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apiserver/pkg/authentication/user"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	"k8s.io/component-base/cli/flag"

	"github.com/annex-dev/annex/controllers/leader"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/schemas/conversion"
)

// Batteries are optional parts of the bootstrap.
const (
	// BatteryWorkspaceTypes adds the workspace types organization and team.
	BatteryWorkspaceTypes = "workspace-types"
	// BatteryAdmin writes the admin kubeconfig.
	BatteryAdmin = "admin"
)

var batteries = []string{BatteryWorkspaceTypes, BatteryAdmin}

// Options are the flags of the server. If kcp has the same flag, the name is kcp's.
type Options struct {
	// RootDirectory contains all files that the server writes: certificates, tokens, kubeconfig and the embedded etcd.
	RootDirectory string

	Serving *genericoptions.SecureServingOptionsWithLoopback
	// ServingCAFile is the CA of a given certificate. ServingNames are more names in a certificate that the server makes.
	ServingCAFile string
	ServingNames  []string

	Audit *genericoptions.AuditOptions
	// TracingConfigFile is a TracingConfiguration; empty if requests are not traced.
	TracingConfigFile string
	Host              *HostOptions

	// EtcdServers are URLs of an external etcd; empty for the embedded one.
	EtcdServers []string
	// EtcdServersOverrides say which part of the data is in other etcds.
	EtcdServersOverrides                  []string
	EtcdPrefix                            string
	Encryption                            EncryptionOptions
	EtcdCAFile, EtcdCertFile, EtcdKeyFile string
	EmbeddedEtcdDirectory                 string
	Logins                                *LoginOptions
	Authorization                         *AuthorizationOptions
	// MaxTokenLife is how long a token of a ServiceAccount is valid at most; 0 means no limit.
	MaxTokenLife                      time.Duration
	KubeconfigPath                    string
	ShardName, ShardBaseURL           string
	ShardExternalURL, ShardVirtualURL string
	BatteriesIncluded                 []string
	// HomeWorkspaces gives users home workspaces. HomeCreatorGroups are the groups whose members may create one.
	HomeWorkspaces            bool
	HomeCreatorGroups         []string
	RunControllers, Profiling bool
	// LeaderElect lets only one of several servers on one etcd run the controllers. If it is not set, Complete sets it.
	LeaderElect                       flag.Tristate
	Leader                            leader.Timing
	ShutdownDelay, ShutdownWatchGrace time.Duration
	RequestTimeout, ConversionTimeout time.Duration
	Limits                            *LimitOptions
	Outbound                          OutboundOptions
	Mounts                            MountOptions
	// MemoryBudget is how many bytes the process should use.
	MemoryBudget resource.QuantityValue
}

// NewOptions returns the defaults.
func NewOptions() *Options {
	o := &Options{
		RootDirectory:      ".annex",
		Serving:            genericoptions.NewSecureServingOptions().WithLoopback(),
		Audit:              genericoptions.NewAuditOptions(),
		Host:               NewHostOptions(),
		EtcdPrefix:         storage.DefaultPrefix,
		Logins:             NewLoginOptions(),
		Authorization:      NewAuthorizationOptions(),
		ShardName:          "root",
		BatteriesIncluded:  slices.Clone(batteries),
		HomeWorkspaces:     true,
		HomeCreatorGroups:  []string{user.AllAuthenticated},
		RunControllers:     true,
		Leader:             leader.Timing{LeaseDuration: 12 * time.Second, RenewDeadline: 8 * time.Second, RetryPeriod: time.Second},
		ShutdownWatchGrace: 5 * time.Second,
		RequestTimeout:     time.Minute,
		ConversionTimeout:  conversion.DefaultTimeout,
		Limits:             NewLimitOptions(),
		MemoryBudget:       resource.QuantityValue{Quantity: *resource.NewQuantity(availableMemory(os.DirFS("/")), resource.BinarySI)},
	}
	o.Serving.BindPort = 6443
	// All watches through one host API server share a few connections.
	o.Serving.HTTP2MaxStreamsPerConnection = 1000
	return o
}

// AddFlags adds a flag for every option.
func (o *Options) AddFlags(sets *flag.NamedFlagSets) {
	fs := sets.FlagSet("annex")
	fs.StringVar(&o.RootDirectory, "root-directory", o.RootDirectory, "Directory for all files that the server writes. Created with mode 0700.")
	fs.StringVar(&o.KubeconfigPath, "kubeconfig-path", o.KubeconfigPath, "File for the admin kubeconfig. Default: admin.kubeconfig in the root directory.")
	fs.StringSliceVar(&o.BatteriesIncluded, "batteries-included", o.BatteriesIncluded, fmt.Sprintf("Optional parts of the bootstrap. Any of %s.", strings.Join(batteries, ", ")))
	fs.BoolVar(&o.HomeWorkspaces, "enable-home-workspaces", o.HomeWorkspaces, "Give each user a home workspace, which is created when the user first reads the Workspace ~ in root. Without it, no home workspace is created; those that exist remain.")
	fs.StringSliceVar(&o.HomeCreatorGroups, "home-workspaces-home-creator-groups", o.HomeCreatorGroups, "Groups whose members may create a home workspace.")
	fs.BoolVar(&o.RunControllers, "run-controllers", o.RunControllers, "Run the controllers in this process.")
	fs.Var(&o.LeaderElect, "leader-elect", "Run the controllers only while this server holds a lease. Of several servers on one etcd, one holds it. Default: true with --etcd-servers.")
	fs.Lookup("leader-elect").NoOptDefVal = "true"
	fs.DurationVar(&o.Leader.LeaseDuration, "leader-elect-lease-duration", o.Leader.LeaseDuration, "How long other servers wait before they replace a leader that does not renew its lease.")
	fs.DurationVar(&o.Leader.RenewDeadline, "leader-elect-renew-deadline", o.Leader.RenewDeadline, "How long the leader tries to renew its lease before it stops its controllers. Must be shorter than the lease.")
	fs.DurationVar(&o.Leader.RetryPeriod, "leader-elect-retry-period", o.Leader.RetryPeriod, "The time between attempts to get or renew the lease.")
	fs.BoolVar(&o.Profiling, "profiling", o.Profiling, "Serve /debug/pprof to system:masters, outside workspaces.")
	fs.DurationVar(&o.ShutdownDelay, "shutdown-delay-duration", o.ShutdownDelay, "How long to continue to serve after SIGTERM. /readyz fails during this time.")
	fs.DurationVar(&o.ShutdownWatchGrace, "shutdown-watch-termination-grace-period", o.ShutdownWatchGrace, "Time limit for open watches to end at shutdown.")
	fs.DurationVar(&o.RequestTimeout, "request-timeout", o.RequestTimeout, "Time limit for a request, except a watch.")
	fs.DurationVar(&o.ConversionTimeout, "conversion-cel-transformation-timeout", o.ConversionTimeout, "Time limit for the transformations of an APIConversion for one object.")

	fs = sets.FlagSet("addresses")
	fs.StringVar(&o.ShardName, "shard-name", o.ShardName, "Name of the Shard object of this server.")
	fs.StringVar(&o.ShardBaseURL, "shard-base-url", o.ShardBaseURL, "URL at which other servers reach this one. Default: the external URL.")
	fs.StringVar(&o.ShardExternalURL, "shard-external-url", o.ShardExternalURL, "URL at which clients reach the server. Workspaces show it. Default: derived from the bind address.")
	fs.StringVar(&o.ShardVirtualURL, "shard-virtual-workspace-url", o.ShardVirtualURL, "URL at which providers reach virtual workspaces. Default: the external URL.")

	fs = sets.FlagSet("etcd")
	fs.StringSliceVar(&o.EtcdServers, "etcd-servers", o.EtcdServers, "URLs of an external etcd cluster. Default: the embedded etcd.")
	fs.StringSliceVar(&o.EtcdServersOverrides, "etcd-servers-overrides", o.EtcdServersOverrides, "Etcd clusters for a part of the data, each as group/resource#servers, with servers separated by semicolons, such as /secrets#https://etcd-3.example.com:2379. cr/0 to cr/15 stand for the sixteen parts of custom resources. They have the TLS files of --etcd-servers. Set it before anything is stored, and the same for all servers.")
	fs.StringVar(&o.EtcdPrefix, "etcd-prefix", o.EtcdPrefix, "Prefix of all keys in etcd.")
	fs.StringVar(&o.EtcdCAFile, "etcd-cafile", o.EtcdCAFile, "CA of the etcd servers, in PEM format.")
	fs.StringVar(&o.EtcdCertFile, "etcd-certfile", o.EtcdCertFile, "Client certificate for etcd, in PEM format.")
	fs.StringVar(&o.EtcdKeyFile, "etcd-keyfile", o.EtcdKeyFile, "Key of the client certificate for etcd, in PEM format.")
	fs.StringVar(&o.EmbeddedEtcdDirectory, "embedded-etcd-directory", o.EmbeddedEtcdDirectory, "Data directory of the embedded etcd. Default: etcd-server in the root directory.")

	o.Encryption.AddFlags(fs)

	fs = sets.FlagSet("authentication")
	o.Logins.AddFlags(fs)
	fs.DurationVar(&o.MaxTokenLife, "service-account-max-token-expiration", o.MaxTokenLife, "How long a token of a ServiceAccount is valid at most. A request for a longer time gets a token for this time, and a warning. It does not apply to the tokens in Secrets of type kubernetes.io/service-account-token. 0 means no limit.")

	o.Authorization.AddFlags(sets.FlagSet("authorization"))
	o.Limits.AddFlags(sets.FlagSet("limits"))
	budget := sets.FlagSet("limits")
	budget.Var(&o.MemoryBudget, "memory-budget", "Memory that the process should use, such as 2Gi. It bounds the caches, and is the soft limit of the Go runtime unless GOMEMLIMIT is set. Default: the memory limit of the cgroup, or the memory of the machine.")
	budget.Lookup("memory-budget").DefValue = ""
	o.Outbound.AddFlags(sets.FlagSet("webhooks"))
	o.Mounts.AddFlags(sets.FlagSet("mounts"))
	o.Host.AddFlags(sets.FlagSet("host"))
	o.addServingFlags(sets.FlagSet("serving"))
	o.Audit.AddFlags(sets.FlagSet("auditing"))
	sets.FlagSet("tracing").StringVar(&o.TracingConfigFile, "tracing-config-file", o.TracingConfigFile, "File with a TracingConfiguration (apiserver.config.k8s.io/v1): the OTLP endpoint to which spans are sent by gRPC, and how many requests are traced. Default: none.")
}

// Complete sets the options that depend on other options.
func (o *Options) Complete() error {
	root, err := filepath.Abs(o.RootDirectory)
	if err != nil {
		return fmt.Errorf("--root-directory %q: %w", o.RootDirectory, err)
	}
	o.RootDirectory = root
	setDefault(&o.KubeconfigPath, filepath.Join(root, "admin.kubeconfig"))
	setDefault(&o.EmbeddedEtcdDirectory, filepath.Join(root, "etcd-server"))
	if !o.LeaderElect.Provided() {
		o.LeaderElect.Default(len(o.EtcdServers) > 0)
	}
	return nil
}

func setDefault(value *string, to string) {
	if *value == "" {
		*value = to
	}
}

// Validate returns every fault of the options, joined.
func (o *Options) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for name, value := range map[string]string{
		"shard-base-url": o.ShardBaseURL, "shard-external-url": o.ShardExternalURL, "shard-virtual-workspace-url": o.ShardVirtualURL,
	} {
		if value == "" {
			continue
		}
		if u, err := url.Parse(value); err != nil || u.Scheme != "https" || u.Host == "" {
			fault("--%s %q: must be a URL such as https://annex.example.com:6443", name, value)
		}
	}
	for _, server := range o.EtcdServers {
		if !isEtcdURL(server) {
			fault("--etcd-servers %q: must be a URL such as https://etcd-0.example.com:2379", server)
		}
	}
	if o.MaxTokenLife != 0 && (o.MaxTokenLife < time.Hour || o.MaxTokenLife > 1<<32*time.Second) {
		fault("--service-account-max-token-expiration %s: must be between 1h and 2^32 seconds, or 0", o.MaxTokenLife)
	}
	_, faults := o.overrides()
	errs = append(errs, faults...)
	if !strings.HasPrefix(o.EtcdPrefix, "/") || o.EtcdPrefix != filepath.Clean(o.EtcdPrefix) || o.EtcdPrefix == "/" {
		fault("--etcd-prefix %q: must begin with a slash and must not end with one, such as /annex", o.EtcdPrefix)
	}
	pair := o.Serving.ServerCert.CertKey
	errs = append(errs, o.validateServing()...)
	if (o.EtcdCertFile == "") != (o.EtcdKeyFile == "") {
		fault("--etcd-certfile and --etcd-keyfile: set both or neither")
	}
	for name, value := range map[string]string{
		"etcd-cafile": o.EtcdCAFile, "etcd-certfile": o.EtcdCertFile, "etcd-keyfile": o.EtcdKeyFile,
		"tls-cert-file": pair.CertFile, "tls-private-key-file": pair.KeyFile, "serving-ca-file": o.ServingCAFile,
		"audit-policy-file": o.Audit.PolicyFile, "encryption-provider-config": o.Encryption.ConfigFile, "tracing-config-file": o.TracingConfigFile,
	} {
		if value == "" {
			continue
		}
		if _, err := os.Stat(value); err != nil {
			fault("--%s: %v", name, err)
		}
	}
	for _, battery := range o.BatteriesIncluded {
		if !slices.Contains(batteries, battery) {
			fault("--batteries-included %q: must be one of %s", battery, strings.Join(batteries, ", "))
		}
	}
	if slices.Contains(o.HomeCreatorGroups, "") || slices.Contains(o.HomeCreatorGroups, user.AllUnauthenticated) {
		fault("--home-workspaces-home-creator-groups %q: must be groups of authenticated users", o.HomeCreatorGroups)
	}
	for _, flag := range o.Limits.flags() {
		if *flag.value < 0 {
			fault("--%s %d: must not be negative; 0 means no limit", flag.name, *flag.value)
		}
	}
	if o.Limits.MaxBytes.Sign() < 0 {
		fault("--max-bytes-per-workspace %s: must not be negative; 0 means no limit", o.Limits.MaxBytes.String())
	}
	if o.MemoryBudget.Value() < leastMemory {
		fault("--memory-budget %s: must be at least %s", o.MemoryBudget.String(), resource.NewQuantity(leastMemory, resource.BinarySI))
	}
	if o.RequestTimeout <= 0 {
		fault("--request-timeout %s: must be greater than 0", o.RequestTimeout)
	}
	if o.ConversionTimeout <= 0 {
		fault("--conversion-cel-transformation-timeout %s: must be greater than 0", o.ConversionTimeout)
	}
	for name, value := range map[string]time.Duration{
		"shutdown-delay-duration": o.ShutdownDelay, "shutdown-watch-termination-grace-period": o.ShutdownWatchGrace,
	} {
		if value < 0 {
			fault("--%s %s: must not be negative", name, value)
		}
	}
	files := o.Host.files()
	maps.Copy(files, o.Logins.files())
	files["authorization-webhook-config-file"] = o.Authorization.WebhookFile
	for name, value := range files {
		if value == "" {
			continue
		}
		if _, err := os.Stat(value); err != nil {
			fault("--%s: %v", name, err)
		}
	}
	if err := o.Leader.Validate(); err != nil {
		fault("--leader-elect-lease-duration, --leader-elect-renew-deadline, --leader-elect-retry-period: %w", err)
	}
	errs = append(errs, o.Logins.validate()...)
	errs = append(errs, o.Authorization.validate()...)
	errs = append(errs, o.Outbound.validate()...)
	errs = append(errs, o.Mounts.validate()...)
	errs = append(errs, o.Encryption.validate()...)
	errs = append(errs, o.Host.validate()...)
	errs = append(errs, o.Audit.Validate()...)
	// Port 0 selects a free port.
	if o.Serving.BindPort != 0 {
		errs = append(errs, o.Serving.Validate()...)
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}
