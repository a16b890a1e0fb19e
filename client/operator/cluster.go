package operator

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/event"
)

// Cluster is the logical cluster of one consumer. It costs nothing to get one, and nothing is kept of it. Its methods are called as those
// of a cluster.Cluster of controller-runtime.
type Cluster struct {
	name logicalcluster.Name
	m    *Manager
}

// Name returns the name of the logical cluster.
func (c *Cluster) Name() logicalcluster.Name { return c.name }

// GetClient returns a client that reads from the cache and writes to the cluster.
func (c *Cluster) GetClient() ctrlclient.Client { return c.m.In(c.name) }

// GetAPIReader returns a reader that asks the server each time.
func (c *Cluster) GetAPIReader() ctrlclient.Reader {
	return &apiReader{clusterClient{name: c.name, m: c.m}}
}

// GetScheme returns the scheme of the manager.
func (c *Cluster) GetScheme() *runtime.Scheme { return c.m.fleet.scheme }

// GetConfig returns a config for clients of the cluster.
func (c *Cluster) GetConfig() (*rest.Config, error) {
	e, err := c.m.fleet.at(c.name)
	if err != nil {
		return nil, err
	}
	config := rest.CopyConfig(e.config)
	config.Host = e.url + "/clusters/" + string(c.name)
	return config, nil
}

// GetEventRecorder returns a recorder that tells the users of the cluster. The same is told once in some minutes, and a cluster gets few Events
// at once; see client/event. It needs a permission claim on Events, or drops them.
func (c *Cluster) GetEventRecorder(component string) events.EventRecorder {
	return &recorder{cluster: c.name, scheme: c.m.fleet.scheme, to: c.m.recorder(component)}
}

// at returns the endpoint that leads to cluster.
func (f *fleet) at(cluster logicalcluster.Name) (*endpoint, error) {
	if _, err := logicalcluster.ParseName(string(cluster)); err != nil {
		return nil, fmt.Errorf("reaching cluster %q: %w", cluster, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var only *endpoint
	for url, e := range f.endpoints {
		for _, i := range f.informers {
			if i.Has(url, cluster) {
				return e, nil
			}
		}
		only = e
	}
	if len(f.endpoints) != 1 {
		return nil, fmt.Errorf("no endpoint is known that leads to cluster %q", cluster)
	}
	return only, nil
}

// recorder records Events about objects of one cluster.
type recorder struct {
	cluster logicalcluster.Name
	scheme  *runtime.Scheme
	to      *event.Recorder
}

// Eventf implements events.EventRecorder. The action and the related object are not recorded.
func (r *recorder) Eventf(regarding, _ runtime.Object, eventType, reason, _, note string, args ...any) {
	obj, ok := regarding.(client.Object)
	var gvk schema.GroupVersionKind
	var err error
	if ok {
		gvk, err = apiutil.GVKForObject(regarding, r.scheme)
	}
	switch {
	case !ok || err != nil:
		klog.Background().Error(err, "An Event is about no object of a known kind", "cluster", r.cluster, "type", fmt.Sprintf("%T", regarding))
		return
	case logicalcluster.From(obj) != r.cluster:
		klog.Background().Error(nil, "An Event is about an object of another cluster", "cluster", r.cluster, "name", obj.GetName())
		return
	}
	r.to.Record(obj, gvk, eventType, reason, fmt.Sprintf(note, args...))
}
