package operator

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/informer"
	"github.com/annex-dev/annex/client/remote"
)

// kind is what an informer is of.
type kind struct {
	schema.GroupVersionKind
	form remote.Form
}

// fleet is the endpoints that are followed, and the informers over all of them.
type fleet struct {
	config    *rest.Config // credentials for endpoints; its Host is that of none
	scheme    *runtime.Scheme
	transform func(client.Object) (client.Object, error)

	mu        sync.Mutex
	endpoints map[string]*endpoint // by URL
	informers map[kind]*informer.Informer
	// known is closed as soon as it is known which endpoints there are.
	known     chan struct{}
	knownOnce sync.Once
}

// endpoint is one URL that leads to clusters.
type endpoint struct {
	url    string
	config *rest.Config // of the wildcard URL
	mapper meta.RESTMapper
	// remote reads over all clusters; live reads and writes in the one that the context names.
	remote *remote.Client
	live   ctrlclient.Client
	// typed knows the types of Kubernetes, whatever the scheme knows.
	typed *remote.Client

	ctx    context.Context
	cancel context.CancelFunc
	feeds  sync.WaitGroup
}

func (f *fleet) connect(ctx context.Context, url string) (*endpoint, error) {
	config := rest.CopyConfig(f.config)
	config.Host = url + wildcard
	if config.QPS == 0 {
		config.QPS = -1 // the server limits its clients
	}
	shared, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("preparing connections to %s: %w", url, err)
	}
	e := &endpoint{url: url, config: config}
	discovered, err := apiutil.NewDynamicRESTMapper(config, shared)
	if err != nil {
		return nil, fmt.Errorf("preparing discovery at %s: %w", url, err)
	}
	e.mapper = newMapper(discovered)
	if e.remote, err = remote.New(config, f.scheme); err != nil {
		return nil, err
	}
	if e.typed, err = remote.New(config, nil); err != nil {
		return nil, err
	}
	next := shared.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	located, err := newTransport(url, next)
	if err != nil {
		return nil, err
	}
	e.live, err = ctrlclient.New(config, ctrlclient.Options{
		HTTPClient: &http.Client{Transport: located, Timeout: shared.Timeout}, Scheme: f.scheme, Mapper: e.mapper,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing a client of %s: %w", url, err)
	}
	e.ctx, e.cancel = context.WithCancel(ctx)
	return e, nil
}

// set follows the endpoints at urls, from now on and until ctx ends, and no others.
func (f *fleet) set(ctx context.Context, urls []string) error {
	f.mu.Lock()
	var gone []*endpoint
	for url, e := range f.endpoints {
		if !slices.Contains(urls, url) {
			gone = append(gone, e)
			delete(f.endpoints, url)
			e.cancel()
		}
	}
	f.mu.Unlock()
	for _, e := range gone {
		e.feeds.Wait()
		klog.FromContext(ctx).Info("An endpoint has gone", "endpoint", e.url)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, url := range urls {
		if f.endpoints[url] != nil {
			continue
		}
		e, err := f.connect(ctx, url)
		if err != nil {
			return err
		}
		f.endpoints[url] = e
		for k, i := range f.informers {
			e.feed(k, i)
		}
		klog.FromContext(ctx).Info("Following an endpoint", "endpoint", url)
	}
	return nil
}

// ready says that it is known which endpoints there are.
func (f *fleet) ready() { f.knownOnce.Do(func() { close(f.known) }) }

// informer returns the informer of k, which follows all endpoints.
func (f *fleet) informer(k kind) *informer.Informer {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, ok := f.informers[k]
	if !ok {
		// The name of the resource is known to endpoints only; this one is for messages.
		plural, _ := meta.UnsafeGuessKindToResource(k.GroupVersionKind)
		i = informer.New(plural.GroupResource(), informer.Options{Transform: f.transform})
		f.informers[k] = i
		for _, e := range f.endpoints {
			e.feed(k, i)
		}
	}
	return i
}

// feed lets i follow the endpoint until that goes.
func (e *endpoint) feed(k kind, i *informer.Informer) {
	done, err := i.Follow(e.ctx, e.url, watcher{endpoint: e, kind: k})
	if err != nil {
		klog.FromContext(e.ctx).Error(err, "An informer does not follow an endpoint", "endpoint", e.url, "kind", k.GroupVersionKind)
		return
	}
	e.feeds.Go(func() { <-done })
}

// watcher watches a kind at an endpoint. Each watch looks anew for the resource: it may be served later than the endpoint.
type watcher struct {
	*endpoint
	kind
}

// Watch implements informer.Watcher.
func (w watcher) Watch(ctx context.Context, _ schema.GroupResource, handle func(client.Event)) error {
	mapping, err := w.mapper.RESTMapping(w.GroupKind(), w.Version)
	if err != nil {
		return fmt.Errorf("finding %s: %w", w.GroupVersionKind, err)
	}
	reader, err := w.remote.Of(mapping.Resource, w.Kind, w.form)
	if err != nil {
		return err
	}
	return reader.Watch(ctx, mapping.Resource.GroupResource(), handle)
}

// wait returns once it is known which endpoints there are, and i has all that they have.
func (f *fleet) wait(ctx context.Context, i *informer.Informer) error {
	select {
	case <-f.known:
		return i.WaitForSync(ctx)
	case <-ctx.Done():
		return fmt.Errorf("waiting for the endpoints: %w", ctx.Err())
	}
}

// kindOf returns what an informer of objects like obj is of. For a list, it is of the items.
func (f *fleet) kindOf(obj runtime.Object) (kind, error) {
	gvk, err := apiutil.GVKForObject(obj, f.scheme)
	if err != nil {
		return kind{}, fmt.Errorf("finding the kind of a %T: %w", obj, err)
	}
	return kind{gvk, formOf(obj)}, nil
}

// isNamespaced reports whether objects of a kind have a namespace.
func (f *fleet) isNamespaced(gvk schema.GroupVersionKind, cluster logicalcluster.Name) (bool, error) {
	e, err := f.at(cluster)
	if err != nil {
		return false, err
	}
	return apiutil.IsGVKNamespaced(gvk, e.mapper)
}
