package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/klog/v2"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers"
	"github.com/annex-dev/annex/controllers/leader"
	"github.com/annex-dev/annex/controllers/multicluster"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server"
	"github.com/annex-dev/annex/server/admission/tree"
	"github.com/annex-dev/annex/server/authentication/admin"
	"github.com/annex-dev/annex/server/home"
	"github.com/annex-dev/annex/server/memory"
	"github.com/annex-dev/annex/server/metrics"
)

// Server is a server that is ready to run.
type Server struct {
	options      *Options
	store        *store
	server       *server.Server
	certificates certificates
	// admins are the files of the administrators; nil if none are generated.
	admins *admin.Files
	// complete says that nothing waits for an etcd that is away.
	complete bool
	// registration is the client for the APIServices of the host; nil if the server registers none.
	registration aggregator.Interface
}

// New builds a server from complete and valid options. It listens, creates missing files, and connects to etcd. The error names
// the flag to correct. After an error, nothing is running.
func New(ctx context.Context, o *Options) (_ *Server, err error) {
	ctrllog.SetLogger(klog.Background())
	if err := setGates(); err != nil {
		return nil, err
	}
	metrics.Bound(kinds.All, storage.CustomCaches())
	// Find every fault of the flags before anything is written.
	if err := o.check(); err != nil {
		return nil, err
	}
	host, hostUsers, err := o.Host.build()
	if err != nil {
		return nil, err
	}
	s := &Server{options: o}
	if s.registration, err = o.Host.registration(); err != nil {
		return nil, err
	}
	if err := o.listen(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = o.Serving.Listener.Close()
			if s.store != nil {
				s.store.stop()
			}
		}
	}()
	tracer, traced, err := o.trace(ctx)
	if err != nil {
		return nil, err
	}
	types := kinds.All.NewScheme()
	// Open the store first, because another server may use the directory.
	budget := memory.Split(o.MemoryBudget.Value())
	if s.store, err = o.openStore(ctx, func(c *storage.Config) {
		c.Codec, c.DecodedBytes, c.SpecBytes, c.ListedBytes, c.ListBytes, c.Limits = types.StorageCodec, budget.Decoded, budget.Specs, budget.Listed, budget.Lists, o.Limits.stored()
	}, traced...); err != nil {
		return nil, err
	}
	if err := o.prepareDirectory(); err != nil {
		return nil, err
	}
	addresses := o.addresses()
	if s.certificates, err = o.certificates(addresses.External); err != nil {
		return nil, err
	}
	admins, err := s.administrators()
	if err != nil {
		return nil, err
	}
	logins := o.logins(addresses.External)
	logins.Admins, logins.Host = admins, hostUsers
	decides, err := o.authorization()
	if err != nil {
		return nil, err
	}
	s.server, err = server.New(server.Config{
		Scheme:             types,
		HealthChecks:       s.store.encryption.checks,
		Tracer:             tracer,
		Backend:            s.store.backend,
		ApplyServing:       s.applyServing,
		Authentication:     logins,
		Authorization:      decides,
		Host:               host,
		Addresses:          addresses,
		ShardName:          o.ShardName,
		WorkspaceTypes:     slices.Contains(o.BatteriesIncluded, BatteryWorkspaceTypes),
		Homes:              s.homes(),
		Profiling:          o.Profiling,
		MaxTokenLife:       o.MaxTokenLife,
		APIAudiences:       o.Logins.APIAudiences,
		RequestTimeout:     o.RequestTimeout,
		ConversionTimeout:  o.ConversionTimeout,
		Limits:             o.Limits.config(o.RequestTimeout, o.MemoryBudget.Value()),
		MaxRefusals:        o.Limits.MaxRefusals,
		Outbound:           o.outbound(addresses),
		Mounts:             o.Mounts.credentials(),
		Memory:             budget,
		ShutdownDelay:      o.ShutdownDelay,
		ShutdownWatchGrace: o.ShutdownWatchGrace,
	})
	if err != nil {
		return nil, fmt.Errorf("building the server: %w", err)
	}
	if err := s.loadCertificates(ctx); err != nil {
		return nil, err
	}
	if s.complete = s.store.hold.Released(); s.complete {
		if err := s.writeKubeconfig(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.server.Generic.AddPostStartHook("annex-certificates", s.followCertificates); err != nil {
		return nil, fmt.Errorf("following the serving certificate: %w", err)
	}
	if err := s.server.Generic.AddPostStartHook("annex-encryption", s.followEncryption); err != nil {
		return nil, fmt.Errorf("following the encryption configuration: %w", err)
	}
	if o.RunControllers {
		err = s.server.AddController("annex-controllers", s.lead)
	}
	return s, err
}

// lead runs the controllers while this server is the leader, until ctx ends.
func (s *Server) lead(ctx context.Context) error {
	if !s.options.LeaderElect.Value() {
		return s.runControllers(ctx)
	}
	return leader.Run(ctx, leader.Config{
		Live:     s.server.Client.Live(),
		Writer:   s.server.Client,
		Identity: leader.NewIdentity(),
		Timing:   s.options.Leader,
	}, s.runControllers)
}

// runControllers runs the controllers on the server's own clients until ctx ends.
func (s *Server) runControllers(ctx context.Context) error {
	registrar, err := s.newRegistrar()
	if err != nil {
		return err
	}
	return controllers.Run(ctx, controllers.Config{
		Config: multicluster.Config{
			Client:   s.server.Client,
			Live:     s.server.Client.Live(),
			Content:  s.server.Content,
			Resolver: s.server.Index,
			IsBound:  kinds.All.IsBound,
		},
		Templates: s.store.backend.Templates(s.server.Client.Create),
		CABundle:  s.certificates.Watch,
		Tokens:    s.server.Tokens,
		Quotas:    s.store.backend,
		Types:     s.server.Types,
		Work:      s.server.Work,
		Registrar: registrar,
		Access:    accessTokens{s.server.Tokens, s.options.MaxTokenLife},
		External:  s.server.External,
		Host:      s.options.Host.core(),
		Forwards:  s.options.Mounts.credentials() != nil,

		HostWorkspace: s.server.HostWorkspace(),
	})
}

// homes returns who has a home workspace; nil if nobody has.
func (s *Server) homes() *server.Homes {
	if !s.options.HomeWorkspaces {
		return nil
	}
	return &server.Homes{
		Creators: s.options.HomeCreatorGroups,
		Maker: func(c client.Client, live client.Reader, clusters tree.Resolver) home.Maker {
			return controllers.Homes(controllers.Config{
				Config:    multicluster.Config{Client: c, Live: live, Resolver: clusters, IsBound: kinds.All.IsBound},
				Templates: s.store.backend.Templates(c.Create),
				CABundle:  s.certificates.Watch,
			})
		},
	}
}

// Run serves until ctx ends, then drains and closes everything. As soon as the server is ready, it prints the next commands to out. It
// returns an error if the data in etcd is not for this release.
func (s *Server) Run(ctx context.Context, out io.Writer) error {
	defer s.store.stop()
	shareProcessors()
	limitMemory(s.options.MemoryBudget.Value())
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if !s.complete {
		go func() {
			if err := s.catchUp(ctx); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		}()
	}
	go keepSmall(ctx, s.options.MemoryBudget.Value())
	if err := s.server.Generic.AddPostStartHook("annex-greeting", func(hook genericapiserver.PostStartHookContext) error {
		go s.greet(hook, out)
		return nil
	}); err != nil {
		return err
	}
	if err := s.server.Run(ctx); err != nil {
		return err
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// catchUp does what waits for an etcd that was away at the start. Meanwhile the server answers what needs no storage, such as discovery
// for the host, whose deletion of namespaces would stop otherwise.
func (s *Server) catchUp(ctx context.Context) error {
	if err := s.store.wait(ctx); err != nil {
		return err
	}
	return s.writeKubeconfig(ctx)
}

// greet prints the next commands when the server is ready.
func (s *Server) greet(ctx context.Context, out io.Writer) {
	if !s.server.WaitReady(ctx) {
		return
	}
	_, _ = io.WriteString(out, greeting(s.options.ShardExternalURL, s.options.KubeconfigPath, s.server.HostWorkspace() != ""))
}

// greeting returns the message for a user who started the server in a terminal. With a host, the server usually runs in a pod, so
// the message is a single line for its log.
func greeting(url, kubeconfig string, hasHost bool) string {
	ready := fmt.Sprintf("Annex is ready at %s\n", url)
	if hasHost {
		return ready
	}
	next := fmt.Sprintf("\nIn another terminal:\n\n  export KUBECONFIG=%s\n  %s get workspaces\n", kubeconfig, kubectl())
	if annex := plugin(); annex != "" {
		next += fmt.Sprintf("  %s quickstart --enter\n  %s tree --workspace :\n", annex, annex)
	}
	return ready + next + "\nStop it with Ctrl-C.\n"
}

// kubectl returns the command for kubectl on this machine.
func kubectl() string {
	if _, err := exec.LookPath("kubectl"); err == nil {
		return "kubectl"
	}
	if path := built("kubectl"); path != "" {
		return path
	}
	return "kubectl"
}

// plugin returns the command for the plugin of kubectl on this machine; empty if there is none.
func plugin() string {
	if _, err := exec.LookPath("kubectl-annex"); err == nil {
		return kubectl() + " annex"
	}
	return built("kubectl-annex")
}

// built returns the path of a program that make has built; empty if it has not.
func built(name string) string {
	path, err := filepath.Abs(filepath.Join("bin", name))
	if err != nil {
		return ""
	}
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}
