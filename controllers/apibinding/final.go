package apibinding

import (
	"context"
	"time"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/tenancy/typeresolution"
	"github.com/annex-dev/annex/client"
)

// patience is how long the caller of FinalBinding may take to store the binding.
const patience = time.Minute

// FinalBinding returns the default binding of cluster to the wanted export, in the state after reconciling, so that its creation is
// the only write. Its name is a function of cluster and export, as the spec requires. If parts of the export are missing, its
// conditions show that, and the controller continues later. The caller must store it within a minute, or drop it.
func (c *Controller) FinalBinding(ctx context.Context, cluster logicalcluster.Name, wanted typeresolution.DefaultBinding) (client.Object, error) {
	if err := c.forget(ctx); err != nil {
		return nil, err
	}
	binding := wanted.Binding(cluster)
	key := client.Key{Cluster: cluster, Name: binding.Name}
	defer c.names.Lock(cluster)()
	c.using.RLock()
	defer c.using.RUnlock()
	// Nobody else writes into a cluster that is being created, so the watch caches and the expected bindings are enough. A
	// consistent read would cost more than the rest of this function.
	names := &taken{controller: c, from: c.Client, key: key, binding: binding, accepts: true}
	if err := c.bind(ctx, names); err != nil {
		return nil, err
	}
	c.names.Wait(names.holder()) // it is reconciled when it is stored
	c.expect(key, binding)
	return binding.DeepCopy(), nil
}

// expect remembers a binding until it arrives.
func (c *Controller) expect(key client.Key, binding *apisv1alpha2.APIBinding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expected[key] = expectation{binding: binding, until: c.now().Add(patience)}
}

// forget ends the expectations that have expired, and drops the references of those bindings that nobody stored: no event ever will.
func (c *Controller) forget(ctx context.Context) error {
	for _, key := range c.allExpired() {
		if err := c.forgetOne(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

func (c *Controller) forgetOne(ctx context.Context, key client.Key) error {
	// What sets the references of a binding, now or after it is stored, holds this lock.
	defer c.names.Lock(key.Cluster)()
	if !c.expired(key) {
		return nil // somebody was faster, or it is expected again
	}
	stored, err := client.Find[apisv1alpha2.APIBinding](ctx, c.Client, bindings, key)
	if err != nil {
		return err
	}
	if stored == nil {
		c.users.Drop(key)
	}
	c.arrived(key)
	return nil
}

// expired reports whether the expectation of a binding has expired and is not forgotten yet.
func (c *Controller) expired(key client.Key) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, found := c.expected[key]
	return found && c.now().After(e.until)
}

func (c *Controller) allExpired() []client.Key {
	c.mu.Lock()
	defer c.mu.Unlock()
	var keys []client.Key
	for key, e := range c.expected {
		if c.now().After(e.until) {
			keys = append(keys, key)
		}
	}
	return keys
}

// arrived forgets an expectation: the binding is stored.
func (c *Controller) arrived(key client.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.expected, key)
}

// expectedIn returns the bindings, by name, that may be stored in cluster at any moment.
func (c *Controller) expectedIn(cluster logicalcluster.Name) map[string]*apisv1alpha2.APIBinding {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := map[string]*apisv1alpha2.APIBinding{}
	for key, e := range c.expected {
		if key.Cluster == cluster && !c.now().After(e.until) {
			found[key.Name] = e.binding
		}
	}
	return found
}

// isExpected reports whether an expected binding uses the schema with the given UID, and for how long it is still expected.
func (c *Controller) isExpected(uid string) (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, longest := c.now(), time.Duration(0)
	for _, e := range c.expected {
		if rest := e.until.Sub(now); rest > longest && uses(e.binding, uid) {
			longest = rest
		}
	}
	return longest, longest > 0
}
