package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/annex-dev/annex/client/operator"
	"github.com/annex-dev/annex/client/remote"
	"github.com/annex-dev/annex/cmd/annex/sync/config"
	"github.com/annex-dev/annex/cmd/annex/sync/names"
	"github.com/annex-dev/annex/cmd/annex/sync/publish"
)

// component is the name of the agent in Events and as a field manager.
const component = "annex-sync"

// maxCorrections bounds what is remembered of corrected objects.
const maxCorrections = 4096

// Options are what a file does not say.
type Options struct {
	// Workspace leads to the provider's workspace, Service to the service cluster.
	Workspace, Service *rest.Config
	// Manager are leader election, whose Lease is in the service cluster, metrics and health checks.
	Manager manager.Options
}

// Agent keeps objects of both sides in step.
type Agent struct {
	config    *config.SyncConfiguration
	names     names.Scheme
	manager   *operator.Manager
	service   cluster.Cluster
	publisher *publish.Publisher
	counts    *counts
	// corrected has the UIDs of counterparts that were changed by others, with the time when they were corrected last.
	corrected *lru.Cache
	// ended gets why the agent must start again.
	ended chan error

	mu sync.Mutex
	// syncers are those of the resources that are followed, by their index in the configuration.
	syncers map[int]*syncer
}

// New returns an agent. Both sides must be reachable.
func New(c *config.SyncConfiguration, o Options) (*Agent, error) {
	a := &Agent{
		config: c, names: names.New(c), corrected: lru.New(maxCorrections), ended: make(chan error, 1), syncers: map[int]*syncer{},
	}
	var err error
	if a.counts, err = newCounts(); err != nil {
		return nil, err
	}
	scheme := remote.NewScheme()
	o.Manager.Scheme = scheme
	o.Manager.LeaderElectionConfig = o.Service
	o.Manager.LeaderElectionID = "annex-sync-" + c.Agent
	// The objects of the provider's workspace are read from the server.
	o.Manager.Client = ctrlclient.Options{Cache: &ctrlclient.CacheOptions{DisableFor: []ctrlclient.Object{&apiextensionsv1.CustomResourceDefinition{}}}}
	if a.manager, err = operator.New(o.Workspace, operator.Options{
		Options: o.Manager, EndpointSlice: c.Export, Uncached: []ctrlclient.Object{&corev1.Secret{}, &corev1.ConfigMap{}},
	}); err != nil {
		return nil, fmt.Errorf("preparing the side of the workspaces: %w", err)
	}
	if a.service, err = cluster.New(o.Service, func(options *cluster.Options) {
		options.Scheme = scheme
		options.Cache = a.cacheOptions()
	}); err != nil {
		return nil, fmt.Errorf("preparing the side of the service cluster: %w", err)
	}
	a.publisher = &publish.Publisher{
		Reader: a.manager.GetAPIReader(), Writer: a.manager.GetClient(), Agent: c.Agent, Export: c.Export, Claims: publish.Claims(c.Resources),
	}
	for _, runnable := range []manager.Runnable{a.service, manager.RunnableFunc(a.untilEnded)} {
		if err := a.manager.Add(runnable); err != nil {
			return nil, fmt.Errorf("preparing the agent: %w", err)
		}
	}
	if err := a.followDefinitions(); err != nil {
		return nil, err
	}
	if err := errors.Join(a.manager.AddHealthzCheck("ping", healthz.Ping), a.manager.AddReadyzCheck("published", a.published)); err != nil {
		return nil, fmt.Errorf("adding health checks: %w", err)
	}
	return a, nil
}

// cacheOptions keep of the service cluster what the agent has made, and the metadata of what it must look for.
func (a *Agent) cacheOptions() cache.Options {
	all := cache.ByObject{Label: labels.Everything()}
	options := cache.Options{
		DefaultLabelSelector: labels.SelectorFromSet(labels.Set{names.AgentLabel: a.config.Agent}),
		DefaultTransform:     cache.TransformStripManagedFields(),
		ByObject:             map[ctrlclient.Object]cache.ByObject{metadataOf(definitionKind): all},
	}
	for _, kind := range relatedKinds {
		options.ByObject[metadataOf(kind)] = all
	}
	return options
}

// metadataOf returns an object of a kind of which only metadata is read.
func metadataOf(kind schema.GroupVersionKind) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(kind)
	return m
}

// Run runs the agent until ctx ends. The error may say that it must be started again.
func (a *Agent) Run(ctx context.Context) error { return a.manager.Start(ctx) }

// untilEnded implements manager.Runnable.
func (a *Agent) untilEnded(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.ended:
		return err
	}
}

// end lets Run return err.
func (a *Agent) end(err error) {
	select {
	case a.ended <- err:
	default: // it ends already
	}
}

// published is a health check: all resources are offered and followed. Only the leader knows.
func (a *Agent) published(*http.Request) error {
	select {
	case <-a.manager.Elected():
	default:
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.config.Resources {
		if a.syncers[i] == nil {
			r := &a.config.Resources[i]
			return fmt.Errorf("%s.%s is not published yet", r.Resource, r.Group)
		}
	}
	return nil
}

// following returns all syncers.
func (a *Agent) following() []*syncer {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []*syncer
	for i := range a.config.Resources {
		if s := a.syncers[i]; s != nil {
			all = append(all, s)
		}
	}
	return all
}
