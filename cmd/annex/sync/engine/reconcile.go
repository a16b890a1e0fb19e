package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/operator"
	"github.com/annex-dev/annex/cmd/annex/sync/names"
	"github.com/annex-dev/annex/cmd/annex/sync/projection"
)

// lookAgain is when the agent looks again at what it waits for. Usually an event comes first.
const lookAgain = 5 * time.Second

// conflictRetry is when it tries again what somebody else was faster with: an operator writes to a new object at once.
const conflictRetry = 100 * time.Millisecond

// reconcile keeps one object of a consumer and its counterpart in step.
func (s *syncer) reconcile(ctx context.Context, request operator.Request) (reconcile.Result, error) {
	key := client.Key{Cluster: request.ClusterName, Namespace: request.Namespace, Name: request.Name}
	obj := s.newConsumer()
	err := s.manager.In(key.Cluster).Get(ctx, request.NamespacedName, obj)
	if apierrors.IsNotFound(err) {
		return s.waits(s.orphaned(ctx, key))
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	selected, err := s.selects(ctx, obj)
	if err != nil {
		return reconcile.Result{}, err
	}
	if obj.GetDeletionTimestamp() != nil || !selected {
		return s.waits(s.release(ctx, obj))
	}
	err = s.sync(ctx, obj)
	if isRefusal(err) {
		return s.settle(ctx, obj, err)
	}
	return s.waits(err)
}

// waits returns what to do after err, which may be that something must end first, or that somebody else has written at the same time.
func (s *syncer) waits(err error) (reconcile.Result, error) {
	switch {
	case errors.Is(err, errWait):
		return reconcile.Result{RequeueAfter: lookAgain}, nil
	case apierrors.IsConflict(err):
		return reconcile.Result{RequeueAfter: conflictRetry}, nil
	}
	return reconcile.Result{}, err
}

// selects reports whether the filter selects obj. An object in a namespace that the agent cannot see is not selected.
func (s *syncer) selects(ctx context.Context, obj *unstructured.Unstructured) (bool, error) {
	if !s.objects.Matches(labels.Set(obj.GetLabels())) {
		return false, nil
	}
	if s.namespaces == nil || obj.GetNamespace() == "" {
		return true, nil
	}
	namespace := metadataOf(namespaceKind)
	err := s.manager.In(client.KeyOf(obj).Cluster).Get(ctx, ctrlclient.ObjectKey{Name: obj.GetNamespace()}, namespace)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the namespace of an object: %w", err)
	}
	return s.namespaces.Matches(labels.Set(namespace.Labels)), nil
}

// sync makes the counterpart of obj and all that belongs to both current. What the operator needs comes before the counterpart.
func (s *syncer) sync(ctx context.Context, obj *unstructured.Unstructured) error {
	key := client.KeyOf(obj)
	want, err := s.converter.ToService(obj)
	if err != nil {
		return err
	}
	if controllerutil.AddFinalizer(obj, names.Finalizer) {
		// Before anything is made, so that nothing is left behind.
		if err := s.finalize(ctx, obj); apierrors.IsNotFound(err) {
			return fmt.Errorf("%w: the object is gone by now", errWait)
		} else if err != nil {
			return err
		}
	}
	if s.converter.ServiceNamespaced || len(s.related) > 0 {
		if err := s.ensureNamespace(ctx, key); err != nil {
			return err
		}
	}
	copies := s.newCopies(obj)
	first := copies.toService(ctx)
	if first != nil && !isRefusal(first) {
		return first
	}
	counterpart, err := s.ensureCounterpart(ctx, obj, want)
	if err != nil {
		return err
	}
	if err := s.bringStatus(ctx, obj, counterpart); err != nil {
		return err
	}
	second := copies.toWorkspace(ctx, counterpart)
	if second != nil && !isRefusal(second) {
		return second
	}
	if first == nil && second == nil {
		return copies.dropOthers(ctx)
	}
	// The user hears of one at a time.
	if first != nil {
		return first
	}
	return second
}

func isRefusal(err error) bool {
	var known *refusal
	return errors.As(err, &known) || errors.Is(err, projection.ErrForbidden)
}

// finalize writes the finalizers of obj.
func (s *syncer) finalize(ctx context.Context, obj *unstructured.Unstructured) error {
	patch := newObject(obj.GroupVersionKind())
	patch.SetNamespace(obj.GetNamespace())
	patch.SetName(obj.GetName())
	body := map[string]any{"metadata": map[string]any{"finalizers": obj.GetFinalizers(), "resourceVersion": obj.GetResourceVersion(), "uid": string(obj.GetUID())}}
	data, err := (&unstructured.Unstructured{Object: body}).MarshalJSON()
	if err != nil {
		return fmt.Errorf("preparing the finalizer: %w", err)
	}
	if err := s.manager.In(client.KeyOf(obj).Cluster).Patch(ctx, patch, ctrlclient.RawPatch("application/merge-patch+json", data), ctrlclient.FieldOwner(component)); err != nil {
		return fmt.Errorf("writing the finalizer: %w", err)
	}
	s.wrote("workspace", s.converter.Resource.String(), "patch")
	obj.SetResourceVersion(patch.GetResourceVersion())
	return nil
}

// release removes the counterpart of an object that is being deleted, or is not selected any more, with all that belongs to it, and lets the
// object go.
func (s *syncer) release(ctx context.Context, obj *unstructured.Unstructured) error {
	if !controllerutil.ContainsFinalizer(obj, names.Finalizer) {
		return nil
	}
	if err := s.remove(ctx, client.KeyOf(obj)); err != nil {
		return err
	}
	controllerutil.RemoveFinalizer(obj, names.Finalizer)
	return ctrlclient.IgnoreNotFound(s.finalize(ctx, obj))
}

// remove removes the counterpart of the object called key with all that belongs to it, or returns errWait.
func (s *syncer) remove(ctx context.Context, key client.Key) error {
	if err := s.removeCounterpart(ctx, key); err != nil {
		return err
	}
	copies := s.copiesOf(key)
	if err := copies.dropOthers(ctx); err != nil {
		return err
	}
	return s.dropNamespace(ctx, key)
}

// orphaned removes the counterpart of an object that is gone although its finalizer should have kept it: somebody has removed that. An object is
// gone only if the server says so. When the endpoint or the workspace cannot be reached, nothing is deleted.
func (s *syncer) orphaned(ctx context.Context, key client.Key) error {
	counterpart := s.newCounterpart()
	namespace, name := s.converter.ServiceName(key)
	err := s.service.GetCache().Get(ctx, ctrlclient.ObjectKey{Namespace: namespace, Name: name}, counterpart)
	if apierrors.IsNotFound(err) {
		// Both are gone; usually the namespace is, too.
		return s.dropNamespace(ctx, key)
	}
	if err != nil {
		return fmt.Errorf("reading the counterpart: %w", err)
	}
	cluster, err := s.manager.GetCluster(ctx, key.Cluster)
	if err != nil {
		return fmt.Errorf("%w: %w", errWait, err)
	}
	err = cluster.GetAPIReader().Get(ctx, ctrlclient.ObjectKey{Namespace: key.Namespace, Name: key.Name}, s.newConsumer())
	if !isGone(err, key.Name) {
		return errWait
	}
	// The copies first: when the counterpart is gone, nothing says that there were any.
	if err := s.copiesOf(key).dropOthers(ctx); err != nil {
		return err
	}
	return s.remove(ctx, key)
}

// isGone reports whether err says that an object called name does not exist, and not that its resource is not served.
func isGone(err error, name string) bool {
	status := apierrors.APIStatus(nil)
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	details := status.Status().Details
	return details != nil && details.Name == name
}
