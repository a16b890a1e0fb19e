package controllers

import (
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/apibinding"
	"github.com/annex-dev/annex/controllers/apiexport"
	"github.com/annex-dev/annex/controllers/apiservice"
	"github.com/annex-dev/annex/controllers/clusterrole"
	"github.com/annex-dev/annex/controllers/crd"
	"github.com/annex-dev/annex/controllers/endpointslice"
	"github.com/annex-dev/annex/controllers/hostbinding"
	lc "github.com/annex-dev/annex/controllers/logicalcluster"
	"github.com/annex-dev/annex/controllers/multicluster"
	"github.com/annex-dev/annex/controllers/namespace"
	"github.com/annex-dev/annex/controllers/workspace"
)

// Resolver finds logical clusters by path.
type Resolver interface {
	// Resolve returns the name of the cluster at path; false if there is none.
	Resolve(ctx context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error)
}

// Config contains the dependencies of the controllers. All fields are required unless noted otherwise.
type Config struct {
	// Client reads the watch caches and writes as the server; Live sees every acknowledged write.
	Client client.Client
	Live   client.Reader
	// Content deletes the content of clusters and namespaces.
	Content  client.Content
	Resolver Resolver
	// IsBound says which resources of root's exports are served by typed storage.
	IsBound func(schema.GroupResource) bool
	// CABundle returns the content of the ConfigMap kube-root-ca.crt in PEM format, and a channel that is closed when it changes.
	CABundle func() ([]byte, <-chan struct{})
	// Registrar registers APIs with the host cluster; nil without one. It runs with the controllers, once.
	Registrar *apiservice.Registrar
	// HostWorkspace is the workspace that a host shows as its own; empty without a host.
	HostWorkspace logicalcluster.Path
}

// All returns the controllers. Controllers that create objects come before controllers that fill or remove them.
func All(c Config) []multicluster.Spec {
	bindings := apibinding.New(apibinding.Config{
		Client: c.Client, Live: c.Live, Resolver: c.Resolver, Content: c.Content, IsBound: c.IsBound,
	})
	specs := workspace.Specs(workspace.Config{Client: c.Client, Live: c.Live, Resolver: c.Resolver, Binder: bindings})
	specs = append(specs, namespace.Specs(c.Client, c.Content, c.CABundle)...)
	specs = append(specs, clusterrole.Spec(c.Client), crd.Spec(c.Client, c.Live, c.Content))
	specs = append(specs, apiexport.Spec(c.Client), endpointslice.Spec(c.Client, c.Resolver))
	specs = append(specs, bindings.Specs()...)
	if !c.HostWorkspace.Empty() {
		config := hostbinding.Config{Client: c.Client, Live: c.Live, Resolver: c.Resolver, Workspace: c.HostWorkspace, IsBound: c.IsBound}
		if c.Registrar != nil {
			config.Registrar = c.Registrar
		}
		specs = append(specs, hostbinding.Spec(config))
	}
	return append(specs, lc.Specs(lc.Config{Client: c.Client, Content: c.Content})...)
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
	for _, spec := range All(c) {
		wg.Go(func() {
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
