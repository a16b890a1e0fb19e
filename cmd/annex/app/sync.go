package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/component-base/cli/flag"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/cmd/annex/sync/config"
	"github.com/annex-dev/annex/cmd/annex/sync/engine"
	"github.com/annex-dev/annex/cmd/door"
)

// syncOptions are the flags of `annex sync`.
type syncOptions struct {
	file             string
	check            bool
	leaderElection   bool
	leaseNamespace   string
	leaseDuration    time.Duration
	metrics, healthz string
}

func newSyncCommand() *cobra.Command {
	var o syncOptions
	logging := logsapi.NewLoggingConfiguration()
	command := &cobra.Command{
		Use:   "sync --config FILE",
		Short: "Offer CustomResourceDefinitions of a cluster to workspaces, served by the operator that runs there",
		Long: "Publish CustomResourceDefinitions of a service cluster as an APIExport, and keep the objects of all consumers in step with objects of\n" +
			"the service cluster: what users write goes there, and the status, Secrets and ConfigMaps come back. The operator does not change.\n" +
			"docs/sync.md describes the configuration file.",
		Example: "  annex sync --config sync.yaml\n  annex sync --config sync.yaml --check",
		Args:    cobra.NoArgs,
	}
	var sets flag.NamedFlagSets
	flags := sets.FlagSet("sync")
	flags.StringVar(&o.file, "config", "", "File with the configuration, of kind SyncConfiguration. Required.")
	flags.BoolVar(&o.check, "check", false, "Only read the configuration, and report every fault in it.")
	flags.BoolVar(&o.leaderElection, "leader-elect", true, "Work only as the leader. The Lease is in the service cluster.")
	flags.StringVar(&o.leaseNamespace, "leader-election-namespace", "", "Namespace of the Lease. Default: that of the pod.")
	flags.DurationVar(&o.leaseDuration, "leader-election-lease-duration", 15*time.Second, "How long others wait for a leader that does not renew its Lease.")
	flags.StringVar(&o.metrics, "metrics-bind-address", "0", "Address of /metrics, such as :8080, without authentication. 0: none.")
	flags.StringVar(&o.healthz, "health-probe-bind-address", "0", "Address of /healthz and /readyz, such as :8081. 0: none.")
	logsapi.AddFlags(logging, sets.FlagSet("logs"))
	for _, name := range sets.Order {
		command.Flags().AddFlagSet(sets.FlagSets[name])
	}
	command.RunE = func(command *cobra.Command, _ []string) error {
		if o.file == "" {
			return errors.New("--config is required")
		}
		configuration, err := config.Load(o.file)
		if err != nil {
			return err
		}
		if o.check {
			_, err := fmt.Fprintf(command.OutOrStdout(), "%s is valid: %d resources for APIExport %s\n", o.file, len(configuration.Resources), configuration.Export)
			return err
		}
		logs.InitLogs()
		defer logs.FlushLogs()
		if err := logsapi.ValidateAndApplyWithOptions(logging, &logsapi.LoggingOptions{ErrorStream: command.ErrOrStderr(), InfoStream: command.ErrOrStderr()}, nil); err != nil {
			return fmt.Errorf("reading the logging flags: %w", err)
		}
		ctrllog.SetLogger(klog.Background())
		options, err := o.complete(configuration)
		if err != nil {
			return err
		}
		agent, err := engine.New(configuration, options)
		if err != nil {
			return err
		}
		return agent.Run(command.Context())
	}
	return command
}

// complete returns the options of the agent.
func (o *syncOptions) complete(c *config.SyncConfiguration) (out engine.Options, err error) {
	if out.Service, err = access(c.Service); err != nil {
		return out, fmt.Errorf("service: %w", err)
	}
	if c.Workspace.Path == "" {
		if out.Workspace, err = access(c.Workspace.Access); err != nil {
			return out, fmt.Errorf("workspace: %w", err)
		}
	} else {
		at, found, err := door.Parse(out.Service.Host)
		if err != nil || found {
			return out, fmt.Errorf("workspace.path: the service cluster at %s is not a host of Annex: use workspace.kubeconfig", out.Service.Host)
		}
		at.Host = true
		out.Workspace = rest.CopyConfig(out.Service)
		out.Workspace.Host = at.WorkspaceURL(logicalcluster.Path(c.Workspace.Path))
	}
	if o.leaseDuration < time.Second {
		return out, fmt.Errorf("--leader-election-lease-duration %s: must be at least 1s", o.leaseDuration)
	}
	// The proportions are those of Kubernetes' own components.
	renew, retry := o.leaseDuration*2/3, o.leaseDuration*2/15
	out.Manager = manager.Options{
		LeaderElection: o.leaderElection, LeaderElectionNamespace: o.leaseNamespace, LeaderElectionReleaseOnCancel: true,
		LeaseDuration: &o.leaseDuration, RenewDeadline: &renew, RetryPeriod: &retry,
		Metrics: metricsserver.Options{BindAddress: o.metrics}, HealthProbeBindAddress: o.healthz,
	}
	return out, nil
}

// access returns the config of a kubeconfig, or of the pod. The API servers limit their clients.
func access(a config.Access) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = a.Kubeconfig
	out, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: a.Context}).ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err):
		return nil, errors.New("no kubeconfig found, and this is not a pod: set kubeconfig")
	case err != nil:
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	out.QPS = -1
	return out, nil
}
