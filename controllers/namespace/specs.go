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

// settles is about how long after a namespace its contents appear or go, if they are made from a template with it.
const settles = 100 * time.Millisecond

func resource(name string) schema.GroupResource { return schema.GroupResource{Resource: name} }

// Config contains what the controllers work with.
type Config struct {
	multicluster.Config
	// CABundle returns the certificates that kube-root-ca.crt contains, in PEM format, and a channel that is closed when they change.
	// While there are none, the ConfigMap stays as it is.
	CABundle func() ([]byte, <-chan struct{})
}

// Specs returns the controllers.
func Specs(in Config) []multicluster.Spec {
	d := &deletion{client: in.Client, content: in.Content, clock: clock.RealClock{}}
	c := &contents{client: in.Client, content: in.Content, caBundle: func() []byte {
		bundle, _ := in.CABundle()
		return bundle
	}}
	return []multicluster.Spec{
		{
			Name:      "namespace-deletion",
			Workers:   workers,
			Watches:   []multicluster.Watch{{Resource: resource("namespaces"), Content: in.Content, HeadKeys: terminating, Listed: isTerminating}},
			Reconcile: d.reconcile,
		},
		{
			Name:    "namespace-contents",
			Workers: workers,
			Watches: []multicluster.Watch{
				{Resource: resource("namespaces"), Content: in.Content, HeadKeys: c.incomplete, After: settles},
				{Resource: resource("serviceaccounts"), Content: in.Content, HeadKeys: lostServiceAccount, Listed: multicluster.OnlyChanges, After: settles},
				{Resource: resource("configmaps"), Content: in.Content, HeadKeys: c.lostRootCA, Listed: multicluster.OnlyChanges, After: settles},
			},
			Feeds: []func(context.Context, func(client.Key, time.Duration)){
				func(ctx context.Context, add func(client.Key, time.Duration)) { c.followBundle(ctx, in.CABundle, add) },
			},
			Reconcile: c.reconcile,
		},
	}
}
