package schema

import (
	"sync/atomic"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdlisters "k8s.io/apiextensions-apiserver/pkg/client/listers/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"
)

// source is the informer and lister of one definition, as the stock handler wants them.
type source struct {
	cache.SharedIndexInformer // nil: the handler only adds its event handler
	crd                       *apiextensionsv1.CustomResourceDefinition
	handlers                  cache.ResourceEventHandler
	closed                    atomic.Bool
}

var (
	_ crdlisters.CustomResourceDefinitionLister = lister{}
)

// Informer implements the informer interface of the stock handler.
func (s *source) Informer() cache.SharedIndexInformer { return s }

// Lister implements the informer interface of the stock handler.
func (s *source) Lister() crdlisters.CustomResourceDefinitionLister { return lister{s} }

// AddEventHandler keeps what the stock handler wants to be told.
func (s *source) AddEventHandler(handler cache.ResourceEventHandler) (cache.ResourceEventHandlerRegistration, error) {
	s.handlers = handler
	return nil, nil
}

// close makes the stock handler tear down what it has built, after the requests under way. It does not wait for them.
func (s *source) close() {
	s.closed.Store(true)
	s.handlers.OnDelete(s.crd)
}

type lister struct{ source *source }

// List returns what may stay: nothing any more after close.
func (l lister) List(labels.Selector) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	if l.source.closed.Load() {
		return nil, nil
	}
	return []*apiextensionsv1.CustomResourceDefinition{l.source.crd}, nil
}

// Get returns the definition even after close, for requests that had got hold of the handler before.
func (l lister) Get(name string) (*apiextensionsv1.CustomResourceDefinition, error) {
	if name != l.source.crd.Name {
		return nil, apierrors.NewNotFound(apiextensionsv1.Resource("customresourcedefinitions"), name)
	}
	return l.source.crd, nil
}
