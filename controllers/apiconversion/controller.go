package apiconversion

import (
	"context"
	"fmt"
	"maps"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
	"github.com/annex-dev/annex/controllers/names"
	"github.com/annex-dev/annex/schemas/crd"
)

var (
	conversions     = apisv1alpha1.Resource("apiconversions")
	schemas         = apisv1alpha1.Resource("apiresourceschemas")
	logicalClusters = corev1alpha1.Resource("logicalclusters")
	definitions     = names.Definitions
)

// Specs returns the controller.
func Specs(c multicluster.Config) []multicluster.Spec {
	r := &reconciler{client: c.Client, live: c.Live}
	return []multicluster.Spec{{
		Name:    "apiconversion",
		Workers: 1,
		Watches: []multicluster.Watch{
			{Resource: conversions, Keys: r.definitionOf},
			{Resource: definitions, Keys: bound},
		},
		Reconcile: r.reconcile,
	}}
}

type reconciler struct {
	client client.Client
	live   client.Reader
}

// definitionOf returns the definition of the schema that has the name of an APIConversion.
func (r *reconciler) definitionOf(ctx context.Context, event client.Event) ([]client.Key, error) {
	schema, err := client.FindNow[apisv1alpha1.APIResourceSchema](ctx, r.client, r.live, schemas, client.KeyOf(event.Object))
	if err != nil || schema == nil {
		return nil, err
	}
	return []client.Key{{Cluster: logicalcluster.SystemBoundCRDs, Name: string(schema.UID)}}, nil
}

// bound returns a new definition itself if it is of a bound schema: its APIConversion may not have been known when it was made.
func bound(_ context.Context, event client.Event) ([]client.Key, error) {
	key := client.KeyOf(event.Object)
	definition, ok := event.Object.(*apiextensionsv1.CustomResourceDefinition)
	if !ok || event.Type != client.Added || key.Cluster != logicalcluster.SystemBoundCRDs || !converts(definition) {
		return nil, nil
	}
	return []client.Key{key}, nil
}

// converts reports whether an APIConversion can convert the objects of a definition.
func converts(definition *apiextensionsv1.CustomResourceDefinition) bool {
	c := definition.Spec.Conversion
	return len(definition.Spec.Versions) > 1 && (c == nil || c.Strategy == apiextensionsv1.NoneConverter)
}

// reconcile makes the rules of one definition those of the APIConversion.
func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	old, err := client.Find[apiextensionsv1.CustomResourceDefinition](ctx, r.client, definitions, key)
	if err != nil || old == nil || !converts(old) {
		return reconcile.Result{}, err
	}
	source := client.Key{Cluster: logicalcluster.Name(old.Annotations[apisv1alpha2.AnnotationSchemaClusterKey]), Name: old.Annotations[apisv1alpha2.AnnotationSchemaNameKey]}
	if source.Cluster.Empty() || source.Name == "" {
		return reconcile.Result{}, nil
	}
	rules, err := client.FindNow[apisv1alpha1.APIConversion](ctx, r.client, r.live, conversions, source)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading APIConversion %s: %w", source, err)
	}
	if remains, err := r.remains(ctx, source, key.Name); !remains || err != nil {
		return reconcile.Result{}, err
	}
	// The spec, which may be big, stays the one that was read: then writing it costs nothing.
	definition := &apiextensionsv1.CustomResourceDefinition{TypeMeta: old.TypeMeta, ObjectMeta: *old.ObjectMeta.DeepCopy(), Spec: old.Spec, Status: old.Status}
	if err := crd.SetConversion(definition, rules); err != nil {
		return reconcile.Result{}, err
	}
	if maps.Equal(definition.Annotations, old.Annotations) {
		return reconcile.Result{}, nil
	}
	_, err = r.client.Update(ctx, definitions, key.Cluster, definition)
	if err != nil && !apierrors.IsNotFound(err) {
		return reconcile.Result{}, fmt.Errorf("updating the definition %s: %w", key, err)
	}
	return reconcile.Result{}, nil
}

// remains reports whether the schema with the given UID exists, in a workspace that is not being deleted.
func (r *reconciler) remains(ctx context.Context, key client.Key, uid string) (bool, error) {
	schema, err := client.FindNow[apisv1alpha1.APIResourceSchema](ctx, r.client, r.live, schemas, key)
	if err != nil || schema == nil || string(schema.UID) != uid || schema.DeletionTimestamp != nil {
		return false, err
	}
	cluster, err := client.FindNow[corev1alpha1.LogicalCluster](ctx, r.client, r.live, logicalClusters, client.Key{Cluster: key.Cluster, Name: corev1alpha1.LogicalClusterName})
	return cluster != nil && cluster.DeletionTimestamp == nil, err
}
