package crd

import (
	"context"
	"errors"
	"fmt"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
	"github.com/annex-dev/annex/controllers/names"
)

const workers = 4

var definitions = names.Definitions

// Specs describes the controller, which asks index what names are in use. Objects of definitions that are being deleted are deleted
// through Content.
func Specs(c multicluster.Config, index *names.Index) []multicluster.Spec {
	r := &reconciler{client: c.Client, live: c.Live, content: c.Content, names: index}
	return []multicluster.Spec{{
		Name:      "crd",
		Workers:   workers,
		Watches:   []multicluster.Watch{{Resource: definitions, Keys: local}},
		Feeds:     []func(context.Context, func(client.Key, time.Duration)){index.Feed(definitions)},
		Reconcile: r.reconcile,
	}}
}

type reconciler struct {
	client  client.Client
	live    client.Reader
	content client.Content
	names   *names.Index
}

// local returns the definition itself unless it represents a bound schema.
func local(_ context.Context, event client.Event) ([]client.Key, error) {
	key := client.KeyOf(event.Object)
	if key.Cluster == logicalcluster.SystemBoundCRDs {
		return nil, nil
	}
	return []client.Key{key}, nil
}

func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	if key.Cluster == logicalcluster.SystemBoundCRDs {
		return reconcile.Result{}, nil
	}
	old, err := client.Find[apiextensionsv1.CustomResourceDefinition](ctx, r.client, definitions, key)
	if err != nil || old == nil {
		return reconcile.Result{}, err
	}
	// The spec, which may be big, stays the one that was read: then writing it costs nothing.
	crd := &apiextensionsv1.CustomResourceDefinition{
		TypeMeta: old.TypeMeta, ObjectMeta: *old.ObjectMeta.DeepCopy(), Spec: old.Spec, Status: *old.Status.DeepCopy(),
	}
	var result reconcile.Result
	var failure error
	checkStructuralCondition(crd)
	setApprovalCondition(crd)
	if crd.DeletionTimestamp != nil {
		result, failure = r.finalize(ctx, key.Cluster, crd)
	} else if !settled(crd) {
		defer r.names.Lock(key.Cluster)()
		if failure = r.accept(ctx, key, crd); failure != nil {
			return reconcile.Result{}, failure
		}
	}
	if apiequality.Semantic.DeepEqual(crd.ObjectMeta, old.ObjectMeta) && apiequality.Semantic.DeepEqual(crd.Status, old.Status) {
		return result, failure
	}
	written, err := r.client.Update(ctx, definitions, key.Cluster, crd)
	switch {
	case apierrors.IsNotFound(err):
		return result, failure
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("updating CustomResourceDefinition %s: %w", key, err)
	case crd.DeletionTimestamp == nil:
		failure = errors.Join(failure, r.names.Wrote(ctx, written))
	}
	return result, failure
}
