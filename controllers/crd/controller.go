package crd

import (
	"context"
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/keymutex"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

const workers = 4

var (
	definitions = schema.GroupResource{Group: apiextensionsv1.GroupName, Resource: "customresourcedefinitions"}
	bindings    = schema.GroupResource{Group: apisv1alpha2.GroupName, Resource: "apibindings"}
)

// Specs describes the controller. Names are accepted based on Live. Objects of definitions that are being deleted are deleted through
// Content.
func Specs(c multicluster.Config) []multicluster.Spec {
	r := &reconciler{client: c.Client, live: c.Live, content: c.Content, groups: keymutex.NewHashed(0)}
	return []multicluster.Spec{{
		Name:    "crd",
		Workers: workers,
		Watches: []multicluster.Watch{
			{Resource: definitions, Keys: r.concernedByDefinition},
			{Resource: bindings, Keys: r.concernedByBinding},
		},
		Reconcile: r.reconcile,
	}}
}

type reconciler struct {
	client  client.Client
	live    client.Reader
	content client.Content
	// groups prevents two definitions of one group in one cluster from being accepted at the same time.
	groups keymutex.KeyMutex
}

// concernedByDefinition returns the definition itself and, if it may have released a name, the others of its group.
func (r *reconciler) concernedByDefinition(ctx context.Context, event client.Event) ([]client.Key, error) {
	key := client.KeyOf(event.Object)
	if key.Cluster == logicalcluster.SystemBoundCRDs {
		return nil, nil
	}
	keys := []client.Key{key}
	if event.Type == client.Deleted || (event.Type == client.Modified && event.Object.GetGeneration() > 1) {
		_, group, _ := strings.Cut(key.Name, ".")
		others, err := r.others(ctx, key, group)
		return append(keys, others...), err
	}
	return keys, nil
}

// concernedByBinding returns the definitions whose names a change of what the cluster binds may release.
func (r *reconciler) concernedByBinding(ctx context.Context, event client.Event) ([]client.Key, error) {
	if event.Type == client.Added {
		return nil, nil
	}
	return r.others(ctx, client.KeyOf(event.Object), "")
}

// others returns the definitions in the cluster of key, except key itself; only those of group if it is not empty.
func (r *reconciler) others(ctx context.Context, key client.Key, group string) ([]client.Key, error) {
	objects, err := r.client.List(ctx, definitions, client.Scope{Cluster: key.Cluster})
	if err != nil {
		return nil, err
	}
	var keys []client.Key
	for _, obj := range objects {
		other := client.Key{Cluster: key.Cluster, Name: obj.GetName()}
		if other.Name != key.Name && (group == "" || strings.HasSuffix(other.Name, "."+group)) {
			keys = append(keys, other)
		}
	}
	return keys, nil
}

func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	if key.Cluster == logicalcluster.SystemBoundCRDs {
		return reconcile.Result{}, nil
	}
	old, err := client.Find[apiextensionsv1.CustomResourceDefinition](ctx, r.client, definitions, key)
	if err != nil || old == nil {
		return reconcile.Result{}, err
	}
	crd := old.DeepCopy()
	var result reconcile.Result
	var failure error
	setStructuralCondition(crd)
	setApprovalCondition(crd)
	if crd.DeletionTimestamp != nil {
		result, failure = r.finalize(ctx, key.Cluster, crd)
	} else if !settled(crd) {
		unlock := r.lockGroup(key.Cluster, crd.Spec.Group)
		defer unlock()
		if failure = r.accept(ctx, key.Cluster, crd); failure != nil {
			return reconcile.Result{}, failure
		}
	}
	if apiequality.Semantic.DeepEqual(crd, old) {
		return result, failure
	}
	if _, err := r.client.Update(ctx, definitions, key.Cluster, crd); err != nil && !apierrors.IsNotFound(err) {
		return reconcile.Result{}, fmt.Errorf("updating CustomResourceDefinition %s: %w", key, err)
	}
	return result, failure
}

func (r *reconciler) lockGroup(cluster logicalcluster.Name, group string) (unlock func()) {
	id := string(cluster) + "/" + group
	r.groups.LockKey(id)
	return func() { _ = r.groups.UnlockKey(id) } // fails only for a lock that is not held
}
