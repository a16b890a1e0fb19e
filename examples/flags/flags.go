package flags

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/annex-dev/annex/client/operator"
	"github.com/annex-dev/annex/client/remote"
)

// Common are the flags of each command. The flag --kubeconfig comes from controller-runtime.
type Common struct {
	name            string
	workspace       string
	metrics, probes string
	elect           bool
	leaseNamespace  string
}

// New adds the flags of a command to flag.CommandLine. Its name is that of its Lease.
func New(name string) *Common {
	c := &Common{name: name}
	flag.StringVar(&c.workspace, "workspace", "", "Absolute path of the provider's workspace, such as root:provider. Set it if the credentials are for the host "+
		"cluster, as those of a pod are. Leave it empty if the kubeconfig leads to the workspace.")
	flag.BoolVar(&c.elect, "leader-elect", true, "Let only one replica work at a time.")
	flag.StringVar(&c.leaseNamespace, "leader-elect-namespace", "", "Namespace of the Lease. With --workspace, the Lease is in the host cluster, and the default is the "+
		"namespace of the pod. Otherwise, the Lease is in the provider's workspace, and the default is the namespace default.")
	flag.StringVar(&c.metrics, "metrics-bind-address", "0", "Address of /metrics, such as :8080. 0 disables it.")
	flag.StringVar(&c.probes, "health-probe-bind-address", "0", "Address of /healthz and /readyz, such as :8081. 0 disables them.")
	return c
}

// Parse reads the command line. Arguments that are no flags are an error.
func (c *Common) Parse() error {
	klog.InitFlags(nil)
	flag.Parse()
	log.SetLogger(klog.Background())
	if flag.NArg() > 0 {
		return fmt.Errorf("unknown arguments: %q", flag.Args())
	}
	return nil
}

// configs returns a config of the provider's workspace, and one of where the Lease is. Through a host, that is the host: so an operator keeps its
// Lease, and continues, while Annex is away.
func (c *Common) configs() (workspace, lease *rest.Config, err error) {
	found, err := config.GetConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, nil, errors.New("there is no kubeconfig, or it has no current context: set --kubeconfig or KUBECONFIG to a kubeconfig of the provider's workspace, or of the host with --workspace")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("finding credentials: %w", err)
	}
	if c.workspace == "" {
		return found, found, nil
	}
	workspace, err = operator.ThroughHost(found, c.workspace)
	return workspace, found, err
}

// Manager returns a manager with the flags' options, added to those that are given, and with the types that add knows.
func (c *Common) Manager(options operator.Options, add ...func(*runtime.Scheme) error) (*operator.Manager, error) {
	at, lease, err := c.configs()
	if err != nil {
		return nil, err
	}
	if c.workspace == "" && c.leaseNamespace == "" {
		c.leaseNamespace = "default"
	}
	scheme := remote.NewScheme()
	for _, types := range add {
		if err := types(scheme); err != nil {
			return nil, fmt.Errorf("adding types: %w", err)
		}
	}
	options.Options = manager.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: c.metrics}, HealthProbeBindAddress: c.probes,
		LeaderElection: c.elect, LeaderElectionID: c.name, LeaderElectionReleaseOnCancel: true,
		LeaderElectionConfig: lease, LeaderElectionNamespace: c.leaseNamespace,
	}
	m, err := operator.New(at, options)
	if err != nil {
		return nil, err
	}
	return m, errors.Join(m.AddHealthzCheck("ping", healthz.Ping), m.AddReadyzCheck("ping", healthz.Ping))
}

// Run runs the manager until ctx ends.
func Run(ctx context.Context, m *operator.Manager) error {
	if err := m.Start(ctx); err != nil {
		return fmt.Errorf("running the manager: %w", err)
	}
	return nil
}
