package remote

import (
	"context"
	"fmt"
	"reflect"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/dynamic"
	kubernetesscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/client"
	annexscheme "github.com/annex-dev/annex/generated/clientset/versioned/scheme"
)

// NewScheme returns a scheme that knows the types of Kubernetes, CustomResourceDefinitions and the types of Annex. Callers
// add their own types to it.
func NewScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{kubernetesscheme.AddToScheme, apiextensionsv1.AddToScheme, annexscheme.AddToScheme} {
		utilruntime.Must(add(scheme))
	}
	return scheme
}

// kindsOf returns the kinds of the scheme that are objects, by resource.
func kindsOf(scheme *runtime.Scheme) map[schema.GroupResource]schema.GroupVersionKind {
	kinds := map[schema.GroupResource]schema.GroupVersionKind{}
	for kind, goType := range scheme.AllKnownTypes() {
		if _, ok := reflect.New(goType).Interface().(client.Object); !ok || kind.Version == runtime.APIVersionInternal {
			continue
		}
		plural, _ := meta.UnsafeGuessKindToResource(kind)
		other, ok := kinds[plural.GroupResource()]
		if !ok || version.CompareKubeAwareVersionStrings(kind.Version, other.Version) > 0 {
			kinds[plural.GroupResource()] = kind
		}
	}
	return kinds
}

// resource is a resource with its version and its Go type.
type resource struct {
	gvr    schema.GroupVersionResource
	gvk    schema.GroupVersionKind
	rest   rest.Interface
	scheme *runtime.Scheme // nil for unstructured objects
	listAs string          // what a list accepts, if it is not what other answers are
}

// object returns an empty object to decode into.
func (r *resource) object() (runtime.Object, error) {
	if r.scheme == nil {
		return &unstructured.Unstructured{}, nil
	}
	return r.typed(r.gvk)
}

// list returns an empty list to decode into.
func (r *resource) list() (runtime.Object, error) {
	if r.scheme == nil {
		return &unstructured.UnstructuredList{}, nil
	}
	return r.typed(r.gvk.GroupVersion().WithKind(r.gvk.Kind + "List"))
}

func (r *resource) typed(kind schema.GroupVersionKind) (runtime.Object, error) {
	obj, err := r.scheme.New(kind)
	if err != nil {
		return nil, fmt.Errorf("making a %s: %w", kind.Kind, err)
	}
	return obj, nil
}

// resource returns what is known of gr; NotFound when neither the scheme nor the server knows it.
func (c *Client) resource(ctx context.Context, gr schema.GroupResource) (*resource, error) {
	c.mu.Lock()
	known, ok := c.resources[gr]
	c.mu.Unlock()
	if ok {
		return known, nil
	}
	kind, ok := c.kinds[gr]
	if !ok {
		var err error
		if kind, err = c.discover(ctx, gr); err != nil {
			return nil, err
		}
	}
	scheme := c.scheme
	if !scheme.Recognizes(kind) {
		scheme = nil
	}
	r, err := c.prepare(gr.WithVersion(kind.Version), kind, scheme)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resources[gr] = r
	return r, nil
}

// prepare returns a resource whose objects are of the Go types of scheme, or unstructured without one.
func (c *Client) prepare(gvr schema.GroupVersionResource, kind schema.GroupVersionKind, scheme *runtime.Scheme) (*resource, error) {
	config := rest.CopyConfig(c.config)
	if scheme != nil {
		config.NegotiatedSerializer = c.codecs.WithoutConversion()
	} else {
		config = dynamic.ConfigFor(config)
	}
	return c.connect(config, &resource{gvr: gvr, gvk: kind, scheme: scheme})
}

// connect completes r.
func (c *Client) connect(config *rest.Config, r *resource) (*resource, error) {
	group := r.gvr.GroupVersion()
	config.GroupVersion = &group
	var err error
	if r.rest, err = rest.RESTClientForConfigAndClient(config, c.http); err != nil {
		return nil, fmt.Errorf("preparing requests for %s: %w", r.gvr.GroupResource(), err)
	}
	return r, nil
}

// discover asks the server for the kind of gr, in the version that the server prefers.
func (c *Client) discover(ctx context.Context, gr schema.GroupResource) (schema.GroupVersionKind, error) {
	none := schema.GroupVersionKind{}
	groups, err := c.discovery.ServerGroupsWithContext(ctx)
	if err != nil && !apierrors.IsNotFound(err) {
		return none, fmt.Errorf("discovering %s: %w", gr, err)
	}
	if groups == nil {
		groups = &metav1.APIGroupList{}
	}
	for _, group := range groups.Groups {
		if group.Name != gr.Group {
			continue
		}
		for _, v := range append([]metav1.GroupVersionForDiscovery{group.PreferredVersion}, group.Versions...) {
			served, err := c.discovery.ServerResourcesForGroupVersionWithContext(ctx, v.GroupVersion)
			if err != nil {
				return none, fmt.Errorf("discovering %s: %w", gr, err)
			}
			for _, r := range served.APIResources {
				if r.Name == gr.Resource {
					return schema.GroupVersionKind{Group: gr.Group, Version: v.Version, Kind: r.Kind}, nil
				}
			}
		}
	}
	return none, fmt.Errorf("neither the scheme nor the server knows it: %w", apierrors.NewNotFound(schema.GroupResource{Resource: "resources"}, gr.String()))
}
