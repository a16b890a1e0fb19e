package bootstrap

import (
	"context"
	"fmt"
	"maps"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/retry"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// writer brings objects to the desired state.
type writer struct {
	client client.Client
}

// ensure creates obj in cluster. If it exists, ensure writes the result of merge if that differs. If merge is nil, ensure does not change
// an existing object. It returns the stored object.
func ensure[T client.Object](ctx context.Context, w *writer, resource schema.GroupResource, cluster logicalcluster.Name, obj T, merge func(existing T)) (T, error) {
	var stored T
	describe := func(err error) error {
		return fmt.Errorf("writing %s %q in %s: %w", resource, obj.GetName(), cluster, err)
	}
	key := client.Key{Cluster: cluster, Namespace: obj.GetNamespace(), Name: obj.GetName()}
	// The cache may be outdated: an update of an old state is a conflict, and a second create gets AlreadyExists.
	again := func(err error) bool {
		return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
	}
	err := retry.OnError(retry.DefaultBackoff, again, func() error {
		got, err := w.client.Get(ctx, resource, key)
		if apierrors.IsNotFound(err) {
			got, err = w.client.Create(ctx, resource, cluster, obj)
		} else if err == nil && merge != nil {
			updated, ok := got.DeepCopyObject().(T)
			if !ok {
				return fmt.Errorf("got a %T", got)
			}
			merge(updated)
			if !apiequality.Semantic.DeepEqual(got, client.Object(updated)) {
				got, err = w.client.Update(ctx, resource, cluster, updated)
			}
		}
		if err != nil {
			return err
		}
		var ok bool
		if stored, ok = got.(T); !ok {
			return fmt.Errorf("got a %T", got)
		}
		return nil
	})
	if err != nil {
		return stored, describe(err)
	}
	return stored, nil
}

// mergeMeta adds the labels and annotations of wanted to those of obj.
func mergeMeta(obj, wanted metav1.Object) {
	if labels := wanted.GetLabels(); len(labels) > 0 {
		obj.SetLabels(union(obj.GetLabels(), labels))
	}
	if annotations := wanted.GetAnnotations(); len(annotations) > 0 {
		obj.SetAnnotations(union(obj.GetAnnotations(), annotations))
	}
}

func union(a, b map[string]string) map[string]string {
	merged := maps.Clone(a)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, b)
	return merged
}
