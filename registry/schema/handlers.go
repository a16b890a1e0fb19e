package schema

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apiextensions-apiserver/pkg/controller/finalizer"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/lru"
	"github.com/annex-dev/annex/registry/room"
	"github.com/annex-dev/annex/schemas/conversion"
	"github.com/annex-dev/annex/schemas/cost"
	apiscrd "github.com/annex-dev/annex/schemas/crd"
)

const (
	defaultCapacity = 256 << 20

	defaultRequestTimeout    = time.Minute
	defaultMinRequestTimeout = 30 * time.Minute
)

// Config says what all handlers have in common.
type Config struct {
	// RESTOptionsGetter gives the storage of custom resources: registry/storage Backend.CustomResources().
	RESTOptionsGetter generic.RESTOptionsGetter
	// Admission sees every write; nil for none.
	Admission admission.Interface
	// Authorizer decides whether an update may create; required.
	Authorizer authorizer.UnconditionalAuthorizer
	// RequestTimeout is how long a request other than a watch may take; 0 stands for a minute.
	RequestTimeout time.Duration
	// MinRequestTimeout is the shortest time after which the server ends a watch; 0 stands for 30 minutes.
	MinRequestTimeout time.Duration
	// MaxRequestBodyBytes bounds what is decoded of a write; 0 stands for no limit.
	MaxRequestBodyBytes int64
	// NotFound answers requests for versions and scopes that the schema does not have; nil stands for http.NotFoundHandler.
	NotFound http.Handler
	// Webhooks connects to the webhooks that convert objects; nil if a definition that has one is not to be served.
	Webhooks Webhooks
	// ConversionTimeout is how long the rules of an APIConversion may take for one object; 0 stands for a second.
	ConversionTimeout time.Duration
	// ShortWait is how long any number of requests wait for the webhooks of a provider; 0 stands for 2 seconds. See waits.go.
	ShortWait time.Duration
	// Capacity bounds what the handlers that are kept take, in bytes; 0 stands for 256 MiB.
	Capacity int64
}

// Handlers keeps one handler for each schema in use. It is safe for concurrent use.
type Handlers struct {
	config    Config
	admission stamping

	mu   sync.Mutex
	kept *lru.Cache[string, *entry] // by hash
	// waits are those for the webhooks of each provider.
	waits *lru.Cache[logicalcluster.Name, *waits]
	// resting says until when consumers ask for no conversion.
	resting *lru.Cache[consumer, time.Time]
}

// stockHandler is what the stock CRD handler, whose type is private, can do.
type stockHandler interface {
	http.Handler
	GetCustomResourceListerCollectionDeleter(*apiextensionsv1.CustomResourceDefinition) (finalizer.ListerCollectionDeleter, error)
}

type entry struct {
	source  *source
	handler stockHandler
	serving http.Handler // handler, behind what is checked before it decodes
	// converter converts many objects at once; nil if they are not converted.
	converter *converter
	// interfaces are for writes that come by no handler.
	interfaces func() (admission.ObjectInterfaces, error)
	built      atomic.Bool // handler has made what it makes at its first request
}

// New returns an empty set of handlers.
func New(config Config) (*Handlers, error) {
	if config.RESTOptionsGetter == nil || config.Authorizer == nil {
		return nil, fmt.Errorf("serving custom resources: storage and authorizer are required")
	}
	if config.Admission == nil {
		config.Admission = admission.NewChainHandler()
	}
	if config.NotFound == nil {
		config.NotFound = http.NotFoundHandler()
	}
	if config.Webhooks == nil {
		config.Webhooks = unguarded{}
	}
	if config.RequestTimeout == 0 {
		config.RequestTimeout = defaultRequestTimeout
	}
	if config.MinRequestTimeout == 0 {
		config.MinRequestTimeout = defaultMinRequestTimeout
	}
	if config.ConversionTimeout == 0 {
		config.ConversionTimeout = conversion.DefaultTimeout
	}
	if config.ShortWait == 0 {
		config.ShortWait = defaultShortWait
	}
	if config.Capacity == 0 {
		config.Capacity = defaultCapacity
	}
	return &Handlers{
		config:    config,
		admission: stamping{NoCreateWhileTerminating(config.Admission)},
		kept: lru.New[string](config.Capacity, func(e *entry) {
			// Not here: the caller holds a lock, and closing waits for a handler that is just being built.
			go e.source.close()
		}),
		waits:   lru.New[logicalcluster.Name, *waits](waitsBytes, nil),
		resting: lru.New[consumer, time.Time](waitsBytes, nil),
	}, nil
}

// For returns the handler of a resource of cluster that is not Typed. Requests must come with request info, cluster and bucket in their
// context, and [WithTerminating] must have been applied if the resource is. The handler is for one request: the next one may get another.
func (h *Handlers) For(resource *catalog.Resource, cluster logicalcluster.Name) (http.Handler, error) {
	e, err := h.entry(resource, cluster)
	if err != nil {
		return nil, err
	}
	return e.serving, nil
}

// Len returns how many handlers are kept.
func (h *Handlers) Len() int { return h.kept.Len() }

// Close tears down all handlers. Requests under way go on.
func (h *Handlers) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept.Clear()
}

// Forget drops the handlers that are kept for cluster. Requests under way go on.
func (h *Handlers) Forget(cluster logicalcluster.Name) {
	h.kept.Drop(cluster.String())
	h.waits.Drop(cluster.String())
	h.resting.Drop(cluster.String())
}

// Bytes returns about how many bytes the handlers take, and how many they may take.
func (h *Handlers) Bytes() (bytes, limit int64) { return h.kept.Bytes() }

// entry returns the handler of a resource.
func (h *Handlers) entry(resource *catalog.Resource, cluster logicalcluster.Name) (*entry, error) {
	if resource.CRD == nil {
		return nil, fmt.Errorf("serving %s: it is not a custom resource", resource.GroupResource())
	}
	key := resource.Hash
	hooks, forConsumers := h.hooksFor(resource)
	if forConsumers {
		key += discreetSuffix
	}
	return h.get(key, resource, cluster, func() (*entry, error) {
		version, err := apihelpers.GetCRDStorageVersion(resource.CRD)
		if err != nil {
			return nil, err
		}
		defaults, rules := growth{cost.NewGrowth(resource.CRD)}, newRules(resource.CRD, h.config.ConversionTimeout)
		e, err := h.build(resource.CRD, version, hooks, defaults, rules, func(next stamping, definition *apiextensionsv1.CustomResourceDefinition, storage func() (Storage, error)) admission.Interface {
			bounds := withBounds(next, definition, storage)
			if rules == nil {
				return bounds
			}
			return convertible{bounds, rules}
		})
		if err != nil {
			return nil, err
		}
		e.serving = &guarded{e.handler, defaults, h.config.MaxRequestBodyBytes, hasSets(resource.CRD), e.ready, h.restingOf(resource), func() (http.Handler, error) { return h.letGo(resource, cluster) }}
		return e, nil
	})
}

// letGo returns the handler for second tries, which knows no schema.
func (h *Handlers) letGo(resource *catalog.Resource, cluster logicalcluster.Name) (http.Handler, error) {
	plain := *resource
	plain.CRD = withoutSchema(resource.CRD)
	key := resource.Hash + letGoSuffix
	hooks, forConsumers := h.hooksFor(resource)
	if forConsumers {
		key += discreetSuffix
	}
	e, err := h.get(key, &plain, cluster, func() (*entry, error) {
		version, err := apihelpers.GetCRDStorageVersion(plain.CRD)
		if err != nil {
			return nil, err
		}
		return h.build(plain.CRD, version, hooks, growth{}, newRules(resource.CRD, h.config.ConversionTimeout), func(next stamping, _ *apiextensionsv1.CustomResourceDefinition, _ func() (Storage, error)) admission.Interface {
			return letGo{next}
		})
	})
	if err == nil {
		err = e.ready()
	}
	if err != nil {
		return nil, fmt.Errorf("changing it without its schema: %w", err)
	}
	return e.handler, nil
}

// letGoSuffix tells the keys of handlers for second tries from hashes.
const letGoSuffix = " without schema"

// get returns the handler with a key, and builds it if there is none. It is kept for cluster, or for the provider of a bound resource.
func (h *Handlers) get(key string, resource *catalog.Resource, cluster logicalcluster.Name, build func() (*entry, error)) (*entry, error) {
	if known, ok := h.kept.Get(key); ok {
		return known, nil
	}
	var e *entry
	var err error
	room.Large(resource.CRD.Size(), func() {
		if known, ok := h.kept.Get(key); ok {
			e = known
			return
		}
		e, err = build()
	})
	if err != nil {
		return nil, fmt.Errorf("serving %s: %w", resource.GroupResource(), err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if known, ok := h.kept.Get(key); ok { // somebody was faster
		return known, nil
	}
	owner := resource.Bucket
	switch {
	case owner == catalog.LocalBucket:
		owner = cluster.String()
	case !resource.Provider.Empty():
		owner = resource.Provider.String()
	}
	h.kept.Put(key, e, size(resource.CRD), owner)
	return e, nil
}

// build returns the stock handler of one definition, which stores objects in version; see versionedOptions. Rules convert them, or one of hooks if these are
// nil. It is cheap: the dear part is done at the first request.
func (h *Handlers) build(crd *apiextensionsv1.CustomResourceDefinition, version string, hooks Webhooks, defaults growth, rules *rules,
	admit func(stamping, *apiextensionsv1.CustomResourceDefinition, func() (Storage, error)) admission.Interface) (*entry, error) {
	own := Webhooks(brief{hooks})
	if rules != nil {
		crd, hooks, own = withRules(crd), ruleHooks{rules}, ruleHooks{rules}
	}
	s := &source{crd: crd}
	e := &entry{source: s, interfaces: sync.OnceValues(func() (admission.ObjectInterfaces, error) { return newInterfaces(crd, own) })}
	var options generic.RESTOptionsGetter = growingOptions{versionedOptions{h.config.RESTOptionsGetter, version}, defaults}
	admits := &creating{Interface: admit(h.admission, crd, e.storage), freelyNamed: apiscrd.HasPathSegmentNames(crd)}
	if convertsByWebhook(crd) {
		var err error
		if e.converter, err = newConverter(crd, hooks, rules); err != nil {
			return nil, err
		}
		options = batchOptions{options, e.converter}
	}
	handler, err := apiserver.NewCustomResourceDefinitionHandler(
		nil, nil, // discovery is answered elsewhere: no request without a resource comes here
		s,
		h.config.NotFound,
		options,
		admits,
		nil, // establishing is a controller's work
		hooks,
		through(hooks),
		1, // with more masters the handler would delay establishing
		h.config.Authorizer,
		h.config.RequestTimeout,
		h.config.MinRequestTimeout,
		// Not nil, or lists become atomic in server-side apply. The types of meta/v1 that schemas refer to come with the
		// specification that the handler builds for each version.
		map[string]*spec.Schema{},
		h.config.MaxRequestBodyBytes,
	)
	if err != nil {
		return nil, err
	}
	e.handler = handler
	return e, nil
}
