package operator

import (
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// Request is what a reconciler gets: the name of an object, and the logical cluster that it is in.
type Request struct {
	reconcile.Request
	ClusterName logicalcluster.Name
}

// String returns cluster|namespace/name.
func (r Request) String() string {
	return client.Key{Cluster: r.ClusterName, Namespace: r.Namespace, Name: r.Name}.String()
}

// Func is a reconciler that is a function.
type Func = reconcile.TypedFunc[Request]

// Reconciler reconciles the objects of all clusters.
type Reconciler = reconcile.TypedReconciler[Request]

// requestFor returns the request that names the object called key.
func requestFor(key client.Key) Request {
	r := Request{ClusterName: key.Cluster}
	r.Namespace, r.Name = key.Namespace, key.Name
	return r
}
