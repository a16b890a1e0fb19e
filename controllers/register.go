package controllers

import (
	"context"
	"errors"
	"slices"
	"sync"

	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/apibinding"
	"github.com/annex-dev/annex/controllers/apichange"
	"github.com/annex-dev/annex/controllers/apiconversion"
	"github.com/annex-dev/annex/controllers/apiexport"
	"github.com/annex-dev/annex/controllers/apiservice"
	"github.com/annex-dev/annex/controllers/cachedresource"
	"github.com/annex-dev/annex/controllers/certificate"
	"github.com/annex-dev/annex/controllers/clusterrole"
	"github.com/annex-dev/annex/controllers/consumers"
	"github.com/annex-dev/annex/controllers/crd"
	"github.com/annex-dev/annex/controllers/defaultbinding"
	"github.com/annex-dev/annex/controllers/endpointslice"
	"github.com/annex-dev/annex/controllers/event"
	"github.com/annex-dev/annex/controllers/garbage"
	"github.com/annex-dev/annex/controllers/hostbinding"
	"github.com/annex-dev/annex/controllers/hostnamespace"
	lc "github.com/annex-dev/annex/controllers/logicalcluster"
	"github.com/annex-dev/annex/controllers/multicluster"
	"github.com/annex-dev/annex/controllers/names"
	"github.com/annex-dev/annex/controllers/namespace"
	"github.com/annex-dev/annex/controllers/partitionset"
	"github.com/annex-dev/annex/controllers/publish"
	"github.com/annex-dev/annex/controllers/resourcequota"
	"github.com/annex-dev/annex/controllers/rollout"
	"github.com/annex-dev/annex/controllers/serviceaccount"
	"github.com/annex-dev/annex/controllers/storagemigration"
	"github.com/annex-dev/annex/controllers/typecheck"
	"github.com/annex-dev/annex/controllers/workspace"
	"github.com/annex-dev/annex/controllers/workspaceaccess"
	"github.com/annex-dev/annex/controllers/workspaceclaim"
)

// Config contains the dependencies of the controllers. All fields are required unless noted otherwise.
type Config struct {
	multicluster.Config
	// Templates lets workspaces contain objects without storing them; nil stores all.
	Templates client.Templates
	// CABundle returns the content of the ConfigMap kube-root-ca.crt in PEM format, and a channel that is closed when it changes.
	CABundle func() ([]byte, <-chan struct{})
	// Tokens makes the tokens that Secrets of type kubernetes.io/service-account-token contain.
	Tokens serviceaccount.Tokens
	// Quotas counts what quotas limit.
	Quotas resourcequota.Counts
	// Types checks the expressions of admission policies.
	Types typecheck.Checker
	// Work does one reconcile for a cluster. It says on which thread.
	Work func(ctx context.Context, cluster logicalcluster.Name, work func(context.Context))
	// Registrar registers APIs with the host cluster; nil without one. It runs with the controllers, once.
	Registrar *apiservice.Registrar
	// Access issues the tokens of WorkspaceAccesses.
	Access workspaceaccess.Tokens
	// External returns the URL at which clients reach the server, without a path.
	External func() string
	// Host reads and writes in namespaces of the host; nil if there is no host, or if it cannot be asked.
	Host workspaceaccess.Host
	// Forwards says that the server sends requests to the endpoints of virtual storage.
	Forwards bool
	// HostWorkspace is the workspace that a host shows as its own; empty without a host.
	HostWorkspace logicalcluster.Path
}

// contents returns what every namespace contains.
func (c Config) contents(ns string) []client.Initial {
	bundle, _ := c.CABundle()
	return namespace.Initial(ns, bundle)
}

// Homes returns what makes home workspaces. It needs Client, Live, Resolver, IsBound, Templates and CABundle.
func Homes(c Config) *workspace.Homes {
	return workspace.NewHomes(workspace.Config{Config: c.Config, Templates: c.Templates, Contents: c.contents}, func() workspace.Binder {
		return apibinding.New(c.Config, names.New(c.Config))
	})
}

// All returns the controllers, the one of workspaces first. Controllers that create objects come before controllers that fill or remove them.
func All(c Config) []multicluster.Spec {
	events := event.New(c.Client)
	c.Events = events
	index := names.New(c.Config)
	bindings := apibinding.New(c.Config, index)
	bindings.Gate = rollout.NewGate()
	users := consumers.New(c.Config)
	all := [][]multicluster.Spec{
		workspace.Specs(workspace.Config{Config: c.Config, Binder: bindings, Templates: c.Templates, Contents: c.contents}),
		namespace.Specs(namespace.Config{Config: c.Config, CABundle: c.CABundle}),
		serviceaccount.Specs(serviceaccount.Config{Config: c.Config, Tokens: c.Tokens, CABundle: c.CABundle}),
		clusterrole.Specs(c.Config),
		certificate.Specs(c.Config),
		resourcequota.Specs(resourcequota.Config{Config: c.Config, Counts: c.Quotas}),
		typecheck.Specs(typecheck.Config{Config: c.Config, Checker: c.Types}),
		{index.Spec()},
		crd.Specs(c.Config, index),
		apiexport.Specs(apiexport.Config{Config: c.Config, Forwards: c.Forwards}),
		partitionset.Specs(c.Config),
		cachedresource.Specs(c.Config),
		endpointslice.Specs(c.Config),
		users.Specs(),
		bindings.Specs(),
		rollout.Specs(rollout.Config{Config: c.Config, Consumers: users, Gate: bindings.Gate, Checker: rollout.NewChecker(c.Content, c.Client)}),
		publish.Specs(c.Config),
		apiconversion.Specs(c.Config),
		apichange.Specs(c.Config),
		storagemigration.Specs(c.Config),
		defaultbinding.Specs(c.Config),
		workspaceaccess.Specs(workspaceaccess.Config{
			Config: c.Config, Tokens: c.Access, External: c.External, CABundle: c.CABundle, Host: c.Host, Workspace: c.HostWorkspace,
		}),
		garbage.Specs(c.Config),
		{event.Spec(events)},
	}
	if !c.HostWorkspace.Empty() {
		config := hostbinding.Config{Config: c.Config, Workspace: c.HostWorkspace}
		if c.Registrar != nil {
			config.Registrar = c.Registrar
		}
		all = append(all, hostbinding.Specs(config))
		claims := workspaceclaim.Config{Config: c.Config, Workspace: c.HostWorkspace}
		if c.Host != nil {
			claims.Host = c.Host
		}
		all = append(all, workspaceclaim.Specs(claims))
		if c.Host != nil {
			all = append(all, hostnamespace.Specs(hostnamespace.Config{Config: c.Config, Workspace: c.HostWorkspace, Host: c.Host}))
		}
	}
	return slices.Concat(append(all, lc.Specs(lc.Config{Config: c.Config}))...)
}

// working returns next as work for the cluster of a key.
func (c Config) working(next func(context.Context, client.Key) (reconcile.Result, error)) func(context.Context, client.Key) (reconcile.Result, error) {
	return func(ctx context.Context, key client.Key) (result reconcile.Result, err error) {
		c.Work(ctx, key.Cluster, func(ctx context.Context) { result, err = next(ctx, key) })
		return result, err
	}
}

// Run runs the controllers until ctx ends. If one cannot run, the error is logged and the others continue.
func Run(ctx context.Context, c Config) error {
	var wg sync.WaitGroup
	errs := make(chan error, 64)
	if c.Registrar != nil {
		wg.Go(func() {
			if err := c.Registrar.Run(ctx); err != nil && ctx.Err() == nil {
				klog.FromContext(ctx).Error(err, "Controller ended", "controller", "apiservice")
				errs <- err
			}
		})
	}
	// New workspaces come first: somebody waits for each of them, while the others see to what is there already.
	first := make(chan struct{})
	for i, spec := range All(c) {
		if i == 0 {
			spec.Synced = func() { close(first) }
		}
		spec.Reconcile = c.working(spec.Reconcile)
		wg.Go(func() {
			if i > 0 {
				select {
				case <-first:
				case <-ctx.Done():
				}
			}
			if err := multicluster.Run(ctx, c.Client, spec); err != nil && ctx.Err() == nil {
				klog.FromContext(ctx).Error(err, "Controller ended", "controller", spec.Name)
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}
