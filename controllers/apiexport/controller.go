package apiexport

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/apis/lifecycle"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

const workers = 2

var (
	exports        = apisv1alpha2.Resource("apiexports")
	schemas        = apisv1alpha1.Resource("apiresourceschemas")
	endpointSlices = apisv1alpha1.Resource("apiexportendpointslices")
	shards         = corev1alpha1.Resource("shards")
	secrets        = schema.GroupResource{Group: corev1.GroupName, Resource: "secrets"}
)

// Config contains the dependencies of the controller.
type Config struct {
	multicluster.Config
	// Forwards says that the server sends requests to the endpoints of virtual storage.
	Forwards bool
}

// Specs describes the controller.
func Specs(c Config) []multicluster.Spec {
	r := &reconciler{client: c.Client, content: c.Content, forwards: c.Forwards, targets: multicluster.NewTargets()}
	return []multicluster.Spec{{
		Name:    "apiexport",
		Workers: workers,
		Watches: []multicluster.Watch{
			{Resource: exports},
			{Resource: secrets, Keys: r.forSecret},
			{Resource: schemas, Keys: r.forSchema},
			{Resource: endpointSlices, Keys: forSlice},
		},
		Feeds:     []func(context.Context, func(client.Key, time.Duration)){r.targets.Feed(c.Content)},
		Reconcile: r.reconcile,
	}}
}

type reconciler struct {
	client   client.Client
	content  client.Content
	forwards bool
	// targets are the objects that virtual storage refers to.
	targets *multicluster.Targets
}

// forSecret returns the exports whose identity is in the secret.
func (r *reconciler) forSecret(ctx context.Context, event client.Event) ([]client.Key, error) {
	key := client.KeyOf(event.Object)
	all, err := client.List[apisv1alpha2.APIExport](ctx, r.client, exports, client.Scope{Cluster: key.Cluster})
	if err != nil {
		return nil, err
	}
	var keys []client.Key
	for _, export := range all {
		if export.Spec.Identity != nil && export.Spec.Identity.SecretRef != nil &&
			export.Spec.Identity.SecretRef.Namespace == key.Namespace && export.Spec.Identity.SecretRef.Name == key.Name {
			keys = append(keys, client.Key{Cluster: key.Cluster, Name: export.Name})
		}
	}
	return keys, nil
}

// forSlice returns the export of the same name for a deleted slice, which may have been the slice of the export.
func forSlice(_ context.Context, event client.Event) ([]client.Key, error) {
	if event.Type != client.Deleted {
		return nil, nil
	}
	return []client.Key{client.KeyOf(event.Object)}, nil
}

func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	old, err := client.Find[apisv1alpha2.APIExport](ctx, r.client, exports, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	if old == nil || old.DeletionTimestamp != nil {
		r.targets.Follow(key)
	}
	if old == nil {
		return reconcile.Result{}, r.deleteSlice(ctx, key)
	}
	if old.DeletionTimestamp != nil {
		return reconcile.Result{}, nil
	}
	export := old.DeepCopy()
	again, virtual := r.checkVirtualStorage(ctx, key, export)
	failure := errors.Join(r.ensureIdentity(ctx, key, export), r.checkSchemas(ctx, key, export), virtual)
	if !apiequality.Semantic.DeepEqual(old, export) {
		if err := lifecycle.CheckExport(export, old); err != nil {
			return reconcile.Result{}, fmt.Errorf("updating APIExport %s: %w", key, err)
		}
		_, err := r.client.Update(ctx, exports, key.Cluster, export)
		switch {
		case apierrors.IsNotFound(err):
			return reconcile.Result{}, nil
		case err != nil:
			return reconcile.Result{}, fmt.Errorf("updating APIExport %s: %w", key, err)
		}
	}
	if failure != nil {
		return reconcile.Result{}, failure
	}
	return reconcile.Result{RequeueAfter: again}, r.ensureSlice(ctx, key, export)
}
