package apibinding

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// patience is how long a binding that FinalBinding returned may take to be stored.
const patience = time.Minute

// FinalBinding returns the default binding of cluster to the export called export in path, in the state that reconciling
// would bring it to, so that creating it is all that is to be written. It is named as spec says: a function of its
// arguments. What is missing of the export shows in its conditions, and the controller goes on from there. The caller stores
// it within a minute, or drops it.
func (c *Controller) FinalBinding(ctx context.Context, cluster logicalcluster.Name, path logicalcluster.Path, export string) (client.Object, error) {
	key := client.Key{Cluster: cluster, Name: identity.DefaultBindingName(cluster, path, export)}
	binding := &apisv1alpha2.APIBinding{
		ObjectMeta: metav1.ObjectMeta{Name: key.Name, Finalizers: []string{apisv1alpha2.APIBindingFinalizer}},
		Spec: apisv1alpha2.APIBindingSpec{Reference: apisv1alpha2.BindingReference{
			Export: &apisv1alpha2.ExportBindingReference{Path: path.String(), Name: export},
		}},
	}
	defer lock(c.clusters, string(cluster))()
	c.using.RLock()
	defer c.using.RUnlock()
	// Nobody else writes into a cluster that is being made, so the watch caches and what is expected say enough: a
	// consistent read costs more than the rest of this.
	if err := c.bind(ctx, c.Client, key, binding); err != nil {
		return nil, err
	}
	if provider := logicalcluster.Name(binding.Status.APIExportClusterName); !provider.Empty() {
		binding.Labels = map[string]string{apisv1alpha2.InternalAPIBindingExportLabelKey: identity.ExportLabelValue(provider, export)}
	}
	c.expect(key, binding)
	return binding.DeepCopy(), nil
}

// expect remembers a binding until it arrives.
func (c *Controller) expect(key client.Key, binding *apisv1alpha2.APIBinding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	for old, e := range c.expected {
		if now.After(e.until) {
			delete(c.expected, old)
		}
	}
	c.expected[key] = expectation{binding: binding, until: now.Add(patience)}
}

// arrived forgets an expectation: the binding is stored.
func (c *Controller) arrived(key client.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.expected, key)
}

// expectedIn returns the bindings that may come up in cluster at any moment.
func (c *Controller) expectedIn(cluster logicalcluster.Name) []*apisv1alpha2.APIBinding {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []*apisv1alpha2.APIBinding
	for key, e := range c.expected {
		if key.Cluster == cluster && !c.now().After(e.until) {
			found = append(found, e.binding)
		}
	}
	return found
}

// isExpected reports whether a binding that may come up uses the schema with the given UID, and for how long it may.
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
