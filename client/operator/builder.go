package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/queue"
)

// Builder builds a controller. Its methods are called as those of the builder of controller-runtime. Objects like those that For, Owns and Watches
// get are watched: typed, unstructured, or metav1.PartialObjectMetadata with a kind, of which only metadata is read.
type Builder struct {
	m       *Manager
	name    string
	object  ctrlclient.Object
	inputs  []input
	filters []predicate.Predicate
	options controller.TypedOptions[Request]
	err     error
}

type input struct {
	object     ctrlclient.Object
	handler    Handler // nil for that of owned objects
	predicates []predicate.Predicate
}

// ControllerManagedBy returns a builder of a controller that m runs.
func ControllerManagedBy(m *Manager) *Builder { return &Builder{m: m} }

// Named sets the name of the controller, in metrics and logs. It is the kind of For if not set.
func (b *Builder) Named(name string) *Builder {
	b.name = name
	return b
}

// For says which objects are reconciled.
func (b *Builder) For(object ctrlclient.Object, predicates ...predicate.Predicate) *Builder {
	if b.object != nil {
		b.err = errors.New("For is called twice")
	}
	b.object = object
	b.inputs = append(b.inputs, input{object, handler.TypedEnqueueRequestsFromMapFunc(func(_ context.Context, obj ctrlclient.Object) []Request {
		return []Request{requestFor(client.KeyOf(obj))}
	}), predicates})
	return b
}

// Owns reconciles the object of For that is the controller of an object like this one.
func (b *Builder) Owns(object ctrlclient.Object, predicates ...predicate.Predicate) *Builder {
	b.inputs = append(b.inputs, input{object, nil, predicates})
	return b
}

// Watches reconciles what h says of an object like this one.
func (b *Builder) Watches(object ctrlclient.Object, h Handler, predicates ...predicate.Predicate) *Builder {
	if h == nil {
		b.err = errors.New("Watches needs a handler")
	}
	b.inputs = append(b.inputs, input{object, h, predicates})
	return b
}

// WithEventFilter adds a predicate for all objects that are watched.
func (b *Builder) WithEventFilter(p predicate.Predicate) *Builder {
	b.filters = append(b.filters, p)
	return b
}

// WithOptions sets the options of the controller. Without a NewQueue of theirs, clusters take turns; without a RateLimiter, there is no rate
// for all objects together.
func (b *Builder) WithOptions(options controller.TypedOptions[Request]) *Builder {
	b.options = options
	return b
}

// Complete builds the controller, which reconciles with r once the manager has started.
func (b *Builder) Complete(r Reconciler) error {
	_, err := b.Build(r)
	return err
}

// Build is Complete, and returns the controller.
func (b *Builder) Build(r Reconciler) (controller.TypedController[Request], error) {
	switch {
	case b.err != nil:
		return nil, fmt.Errorf("building a controller: %w", b.err)
	case r == nil:
		return nil, errors.New("building a controller: a reconciler is needed")
	case len(b.inputs) == 0:
		return nil, errors.New("building a controller: For or Watches is needed")
	}
	var owner schema.GroupVersionKind
	if b.object != nil {
		var err error
		if owner, err = apiutil.GVKForObject(b.object, b.m.fleet.scheme); err != nil {
			return nil, fmt.Errorf("finding the kind of a %T: %w", b.object, err)
		}
		if b.name == "" {
			b.name = strings.ToLower(owner.Kind)
		}
	}
	b.defaults(r)
	c, err := controller.NewTyped(b.name, b.m, b.options)
	if err != nil {
		return nil, fmt.Errorf("building controller %s: %w", b.name, err)
	}
	for _, in := range b.inputs {
		if in.handler == nil && b.object == nil {
			return nil, fmt.Errorf("building controller %s: Owns needs For", b.name)
		}
		if in.handler == nil {
			in.handler = handler.TypedEnqueueRequestsFromMapFunc(b.m.fleet.ownersOf(owner))
		}
		k, err := b.m.fleet.kindOf(in.object)
		if err != nil {
			return nil, fmt.Errorf("building controller %s: %w", b.name, err)
		}
		predicates := append(append([]predicate.Predicate{}, b.filters...), in.predicates...)
		if err := c.Watch(&feed{fleet: b.m.fleet, informer: b.m.fleet.informer(k), handler: in.handler, predicates: predicates}); err != nil {
			return nil, fmt.Errorf("watching %s: %w", k.GroupVersionKind, err)
		}
	}
	return c, nil
}

func (b *Builder) defaults(r Reconciler) {
	b.options.Reconciler = r
	if b.options.RateLimiter == nil {
		b.options.RateLimiter = queue.NewLimiter[Request]()
	}
	if b.options.NewQueue == nil {
		b.options.NewQueue = func(name string, limiter workqueue.TypedRateLimiter[Request]) workqueue.TypedRateLimitingInterface[Request] {
			return queue.New(name, limiter, func(r Request) logicalcluster.Name { return r.ClusterName })
		}
	}
	if b.options.LogConstructor == nil {
		base := b.m.GetLogger().WithValues("controller", b.name)
		b.options.LogConstructor = func(r *Request) logr.Logger {
			if r == nil {
				return base
			}
			return base.WithValues("cluster", r.ClusterName, "namespace", r.Namespace, "name", r.Name)
		}
	}
}

// ownersOf returns what finds the controller of an object, if it is of the given kind.
func (f *fleet) ownersOf(owner schema.GroupVersionKind) handler.TypedMapFunc[ctrlclient.Object, Request] {
	return func(_ context.Context, obj ctrlclient.Object) []Request {
		ref := metav1.GetControllerOf(obj)
		if ref == nil || ref.Kind != owner.Kind {
			return nil
		}
		if group, err := schema.ParseGroupVersion(ref.APIVersion); err != nil || group.Group != owner.Group {
			return nil
		}
		key := client.Key{Cluster: logicalcluster.From(obj), Name: ref.Name}
		namespaced := key
		namespaced.Namespace = obj.GetNamespace()
		is, err := f.isNamespaced(owner, key.Cluster)
		switch {
		case err != nil && namespaced != key:
			// One of them does not exist, which costs one reconcile of nothing.
			return []Request{requestFor(key), requestFor(namespaced)}
		case is:
			return []Request{requestFor(namespaced)}
		}
		return []Request{requestFor(key)}
	}
}
