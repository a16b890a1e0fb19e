package informer

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/remote"
)

// Factory has the informers of the resources that are read over all clusters of a server, or of a provider's endpoint. It is for them what a generated
// SharedInformerFactory is for the resources of one cluster. Its methods may be called by many goroutines.
type Factory struct {
	remote  *remote.Client
	scheme  *runtime.Scheme
	options Options

	mu    sync.Mutex
	known map[of]*shared
}

// of is what an informer is of: a resource, in one of its forms.
type of struct {
	schema.GroupVersionResource
	objects reflect.Type
}

// shared is an informer, and what it will follow.
type shared struct {
	*Informer
	from    Watcher
	started bool
}

// NewFactory returns a factory without informers. The Host of the config is the URL of a server, of a workspace, or of a provider's endpoint: what
// follows /clusters/ in it is replaced, and all clusters that the credentials may read are read. The scheme knows the Go types of objects, such as that
// of a generated clientset; nil stands for remote.NewScheme. The options are for each informer.
func NewFactory(config *rest.Config, scheme *runtime.Scheme, options Options) (*Factory, error) {
	config = rest.CopyConfig(config)
	config.Host, _, _ = strings.Cut(config.Host, "/clusters/")
	config.Host = strings.TrimSuffix(config.Host, "/") + "/clusters/*"
	if scheme == nil {
		scheme = remote.NewScheme()
	}
	all, err := remote.New(config, scheme)
	if err != nil {
		return nil, err
	}
	return &Factory{remote: all, scheme: scheme, options: options, known: map[of]*shared{}}, nil
}

// For returns the lister of a resource, whose informer the factory makes when it is asked for the first time. T is a pointer to a Go type that the
// scheme knows in the version of the resource, *unstructured.Unstructured, or *metav1.PartialObjectMetadata, for which the server sends metadata only.
// Anything else is an error.
func For[T client.Object](f *Factory, resource schema.GroupVersionResource) (Lister[T], error) {
	i, err := f.informer(of{resource, reflect.TypeFor[T]()})
	return Lister[T]{i}, err
}

func (f *Factory) informer(what of) (*Informer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known, ok := f.known[what]; ok {
		return known.Informer, nil
	}
	kind, form, err := f.kindOf(what)
	if err != nil {
		return nil, fmt.Errorf("preparing an informer of %s: %w", what.GroupVersionResource, err)
	}
	reader, err := f.remote.Of(what.GroupVersionResource, kind, form)
	if err != nil {
		return nil, err
	}
	i := &shared{Informer: New(what.GroupResource(), f.options), from: reader}
	f.known[what] = i
	return i.Informer, nil
}

// kindOf returns the kind of objects, and the form in which they are read.
func (f *Factory) kindOf(what of) (kind string, form remote.Form, err error) {
	switch what.objects {
	case reflect.TypeFor[*unstructured.Unstructured]():
		return "", remote.Unstructured, nil
	case reflect.TypeFor[*metav1.PartialObjectMetadata]():
		return "", remote.Metadata, nil
	}
	if what.objects.Kind() != reflect.Pointer {
		return "", 0, fmt.Errorf("%s is no pointer to a Go type of objects", what.objects)
	}
	obj, ok := reflect.New(what.objects.Elem()).Interface().(runtime.Object)
	if !ok {
		return "", 0, fmt.Errorf("%s is no object", what.objects)
	}
	kinds, _, err := f.scheme.ObjectKinds(obj)
	if err != nil {
		return "", 0, err
	}
	for _, known := range kinds {
		if known.GroupVersion() == what.GroupVersion() {
			return known.Kind, remote.Typed, nil
		}
	}
	return "", 0, fmt.Errorf("%s is a type of %s, not of %s", what.objects, kinds[0].GroupVersion(), what.GroupVersion())
}

// Start lets all informers that were asked for follow the server until ctx ends. Call it again for those that are asked for later.
func (f *Factory) Start(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range f.known {
		if i.started {
			continue
		}
		if _, err := i.Follow(ctx, "the server", i.from); err != nil {
			return err
		}
		i.started = true
	}
	return nil
}

// WaitForSync returns once everything is there that the server has of all resources whose informers were started.
func (f *Factory) WaitForSync(ctx context.Context) error {
	f.mu.Lock()
	var started []*shared
	for _, i := range f.known {
		if i.started {
			started = append(started, i)
		}
	}
	f.mu.Unlock()
	if len(started) == 0 {
		return errors.New("no informer was started")
	}
	for _, i := range started {
		if err := i.WaitForSync(ctx); err != nil {
			return err
		}
	}
	return nil
}
