package apiservice

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
)

// DefaultAnchor is the name of the APIService that the chart creates.
const DefaultAnchor = "v1alpha1.tenancy.kcp.io"

// staticOwner is the owner of the group versions that the server itself serves.
const staticOwner = "annex"

// How soon a failed operation is tried again.
const (
	minRetry = 500 * time.Millisecond
	maxRetry = time.Minute
)

// Config is what a Registrar works with. Everything is required.
type Config struct {
	// Client is for the host cluster.
	Client aggregator.Interface
	// Anchor is the name of the APIService whose settings the others copy.
	Anchor string
	// Static are the group versions to register always. They may include the one of the anchor.
	Static []schema.GroupVersion
	// CABundle returns the certificates, in PEM format, that the host verifies the server with, and a channel that is closed when they
	// change.
	CABundle func() ([]byte, <-chan struct{})
	// Covers returns an error if the serving certificate is not valid for a DNS name.
	Covers func(name string) error
}

// Phase is the phase of the registration of a group version.
type Phase string

// Phases of a registration.
const (
	// Pending: the group version is not registered yet, or no longer wanted.
	Pending Phase = ""
	// Registered: the APIService is ours, and the host does not find it available.
	Registered Phase = "Registered"
	// Available: the host forwards requests.
	Available Phase = "Available"
	// Conflict: the host serves the group version from another source.
	Conflict Phase = "Conflict"
)

// State is the state of the registration of a group version. Message tells users why it is not Available.
type State struct {
	Phase   Phase
	Message string
}

// notYet is the state before the host was asked.
const notYet = "the APIServices of the host have not been read yet"

// Registrar is the only writer of APIServices. It is safe for many goroutines.
type Registrar struct {
	config Config
	queue  workqueue.TypedRateLimitingInterface[struct{}]
	logged faults
	// read is true once the APIServices of the host have been read.
	read atomic.Bool

	lock sync.Mutex
	// wants contains the group versions that each owner requested. An owner that requested none has an empty entry.
	wants    map[string][]schema.GroupVersion
	states   map[schema.GroupVersion]State
	general  string
	onChange map[*func()]struct{}
}

// New returns a Registrar that does nothing before [Registrar.Run].
func New(c Config) (*Registrar, error) {
	if c.Client == nil || c.Anchor == "" || c.CABundle == nil || c.Covers == nil {
		return nil, errors.New("a registrar requires a client, the name of an anchor, a CA bundle and a certificate")
	}
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[struct{}](minRetry, maxRetry)
	return &Registrar{
		config:   c,
		queue:    workqueue.NewTypedRateLimitingQueue(limiter),
		wants:    map[string][]schema.GroupVersion{staticOwner: slices.Clone(c.Static)},
		states:   map[schema.GroupVersion]State{},
		general:  notYet,
		onChange: map[*func()]struct{}{},
	}, nil
}

// Want replaces what owner, for example "hostbinding/widgets", wants to register; nil withdraws all of them. The owners are
// recorded on the APIServices. So group versions that an owner requested in an earlier process stay registered until that owner calls
// Want in this process.
func (r *Registrar) Want(owner string, gvs []schema.GroupVersion) {
	r.lock.Lock()
	sorted := slices.SortedFunc(slices.Values(gvs), compare)
	before, known := r.wants[owner]
	changed := !known || !slices.Equal(before, sorted)
	r.wants[owner] = sorted
	r.lock.Unlock()
	if changed {
		r.queue.Add(struct{}{})
	}
}

// State returns the state of the registration of gv; Pending if nobody wants gv.
func (r *Registrar) State(gv schema.GroupVersion) State {
	r.lock.Lock()
	defer r.lock.Unlock()
	if state, known := r.states[gv]; known {
		return state
	}
	return State{Message: r.general}
}

// OnChange calls f, from one goroutine, whenever the state of a group version has changed, until remove is called. f must return
// soon.
func (r *Registrar) OnChange(f func()) (remove func()) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.onChange[&f] = struct{}{}
	return func() {
		r.lock.Lock()
		defer r.lock.Unlock()
		delete(r.onChange, &f)
	}
}

// wanted returns the owners of every wanted group version, and the owners that called Want in this process.
func (r *Registrar) wanted() (owners map[schema.GroupVersion][]string, spoken map[string]bool) {
	r.lock.Lock()
	defer r.lock.Unlock()
	owners, spoken = map[schema.GroupVersion][]string{}, map[string]bool{}
	for _, owner := range slices.Sorted(maps.Keys(r.wants)) {
		spoken[owner] = true
		for _, gv := range r.wants[owner] {
			if !slices.Contains(owners[gv], owner) {
				owners[gv] = append(owners[gv], owner)
			}
		}
	}
	return owners, spoken
}

// report replaces all states and calls the listeners. general is the message for group versions without a state of their own.
func (r *Registrar) report(states map[schema.GroupVersion]State, general string) {
	r.lock.Lock()
	changed := general != r.general || !maps.Equal(states, r.states)
	r.states, r.general = states, general
	listeners := slices.Collect(maps.Keys(r.onChange))
	r.lock.Unlock()
	if !changed {
		return
	}
	for _, f := range listeners {
		(*f)()
	}
}
