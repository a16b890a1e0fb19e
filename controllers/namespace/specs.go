package namespace

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// Workers of each controller. They wait for etcd most of the time.
const workers = 8

func resource(name string) schema.GroupResource { return schema.GroupResource{Resource: name} }

// Specs returns the controllers. caBundle returns the certificates, in PEM format, for kube-root-ca.crt, and a channel
// that is closed when they change. While there are none, that ConfigMap is not changed.
func Specs(cl client.Client, content client.Content, caBundle func() ([]byte, <-chan struct{})) []multicluster.Spec {
	d := &deletion{client: cl, content: content, clock: clock.RealClock{}}
	c := &contents{client: cl, caBundle: func() []byte {
		bundle, _ := caBundle()
		return bundle
	}}
	return []multicluster.Spec{
		{
			Name:      "namespace-deletion",
			Workers:   workers,
			Watches:   []multicluster.Watch{{Resource: resource("namespaces"), Keys: terminating}},
			Reconcile: d.reconcile,
		},
		{
			Name:    "namespace-contents",
			Workers: workers,
			Watches: []multicluster.Watch{
				{Resource: resource("namespaces"), Keys: active},
				{Resource: resource("serviceaccounts"), Keys: c.lostServiceAccount},
				{Resource: resource("configmaps"), Keys: c.lostRootCA},
			},
			Feeds: []func(context.Context, func(client.Key, time.Duration)){
				func(ctx context.Context, add func(client.Key, time.Duration)) { c.followBundle(ctx, caBundle, add) },
			},
			Reconcile: c.reconcile,
		},
	}
}
