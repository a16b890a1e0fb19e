package operator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/event"
	"github.com/annex-dev/annex/client/informer"
	"github.com/annex-dev/annex/client/remote"
)

// Options say what a manager works on.
type Options struct {
	// Options are those of the stock manager, which works in the provider's own workspace: scheme, leader election, metrics, health checks. Its
	// Cache and Client are for that workspace only.
	manager.Options
	// EndpointSlice is the name of an APIExportEndpointSlice in the workspace of the config. An export has one of its own name. Its endpoints
	// are followed as they come and go.
	EndpointSlice string
	// Endpoint is the URL of one endpoint, without /clusters/*, in place of EndpointSlice.
	Endpoint string
	// Initializer is the name of a WorkspaceType in the workspace of the config, in place of EndpointSlice: the manager works on the LogicalClusters
	// of all workspaces that wait for the initializer of the type. Their other objects are written, and read with GetAPIReader.
	Initializer string
	// Transform returns what the cache keeps of an object that was just read, which it may change. Nil removes the managed fields, which an
	// update does not need.
	Transform func(obj ctrlclient.Object) (ctrlclient.Object, error)
	// Uncached are objects of the kinds that clients read from the server each time, for example Secrets.
	Uncached []ctrlclient.Object
}

// Manager runs controllers over all clusters, and is the stock manager of the provider's own workspace.
type Manager struct {
	manager.Manager
	fleet    *fleet
	uncached map[schema.GroupVersionKind]bool

	mu        sync.Mutex
	recorders map[string]*event.Recorder // by component
}

// New returns a manager. The config leads to the provider's workspace, at the server's own endpoint or through a host, with credentials that work at
// the endpoints, too.
func New(config *rest.Config, options Options) (*Manager, error) {
	ways := slices.DeleteFunc([]string{options.EndpointSlice, options.Endpoint, options.Initializer}, func(way string) bool { return way == "" })
	if len(ways) != 1 {
		return nil, errors.New("exactly one of EndpointSlice, Endpoint and Initializer is needed")
	}
	if strings.Contains(options.Endpoint, "/clusters/") {
		return nil, fmt.Errorf("the endpoint %s must be without /clusters", options.Endpoint)
	}
	if options.Scheme == nil {
		options.Scheme = remote.NewScheme()
	}
	stock, err := manager.New(config, options.Options)
	if err != nil {
		return nil, fmt.Errorf("building the manager of the provider's workspace: %w", err)
	}
	m := &Manager{
		Manager:   stock,
		uncached:  map[schema.GroupVersionKind]bool{},
		recorders: map[string]*event.Recorder{},
		fleet: &fleet{
			config: rest.CopyConfig(config), scheme: options.Scheme, transform: withoutManagedFields,
			endpoints: map[string]*endpoint{}, informers: map[kind]*informer.Informer{}, known: make(chan struct{}),
		},
	}
	if options.Transform != nil {
		m.fleet.transform = func(obj client.Object) (client.Object, error) { return options.Transform(obj) }
	}
	for _, obj := range options.Uncached {
		gvk, err := apiutil.GVKForObject(obj, options.Scheme)
		if err != nil {
			return nil, fmt.Errorf("finding the kind of a %T: %w", obj, err)
		}
		m.uncached[gvk] = true
	}
	follow := func(ctx context.Context) error {
		set := func(urls []string) error { return m.fleet.set(ctx, urls) }
		switch {
		case options.EndpointSlice != "":
			return followSlice(ctx, config, options.EndpointSlice, set, m.fleet.ready)
		case options.Initializer != "":
			return followInitializer(ctx, config, options.Initializer, set, m.fleet.ready)
		}
		if err := set([]string{strings.TrimSuffix(options.Endpoint, "/")}); err != nil {
			return err
		}
		m.fleet.ready()
		<-ctx.Done()
		return nil
	}
	if err := stock.Add(everywhere(follow)); err != nil {
		return nil, fmt.Errorf("adding the endpoints: %w", err)
	}
	return m, nil
}

func withoutManagedFields(obj client.Object) (client.Object, error) {
	obj.SetManagedFields(nil)
	return obj, nil
}

// itemKind returns the kind of the items of a list, and any other kind as it is.
func itemKind(gvk schema.GroupVersionKind) schema.GroupVersionKind {
	gvk.Kind = strings.TrimSuffix(gvk.Kind, "List")
	return gvk
}

// everywhere runs also while another replica is the leader: the cache is ready when that one ends.
type everywhere func(context.Context) error

// Start implements manager.Runnable.
func (f everywhere) Start(ctx context.Context) error { return f(ctx) }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (f everywhere) NeedLeaderElection() bool { return false }

// GetCluster returns the logical cluster called name. It is an error if no endpoint leads to it.
func (m *Manager) GetCluster(_ context.Context, name logicalcluster.Name) (*Cluster, error) {
	if _, err := m.fleet.at(name); err != nil {
		return nil, err
	}
	return &Cluster{name: name, m: m}, nil
}

// In returns a client of the logical cluster called name. It reads from the shared cache, as the stock client does, and writes to the server.
// Where no endpoint leads to the cluster, its methods fail.
func (m *Manager) In(name logicalcluster.Name) ctrlclient.Client {
	return &clusterClient{name: name, m: m}
}

// IndexField lets lists with client.MatchingFields{field: value} read objects like obj from the cache by what extract returns. It is called
// before Start.
func (m *Manager) IndexField(obj ctrlclient.Object, field string, extract ctrlclient.IndexerFunc) error {
	k, err := m.fleet.kindOf(obj)
	if err != nil {
		return err
	}
	return m.fleet.informer(k).AddIndex(field, func(obj client.Object) []string { return extract(obj) })
}

// recorder returns the recorder of a component, which writes from then on.
func (m *Manager) recorder(component string) *event.Recorder {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.recorders[component]
	if !ok {
		known = event.New(eventWriter{fleet: m.fleet}, component)
		m.recorders[component] = known
		// It records at once: the first thing that is told is told by whoever asks for the recorder.
		if err := m.Add(everywhere(newEventWriting(known, component).run)); err != nil {
			m.GetLogger().Error(err, "Events are not recorded", "component", component)
		}
	}
	return known
}
