package core

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	storeerr "k8s.io/apiserver/pkg/storage/errors"
	"k8s.io/apiserver/pkg/util/dryrun"

	"github.com/annex-dev/annex/registry/kinds"
)

// namespaceParts are the operations that namespaces have in common with other resources: all except deletion.
type namespaceParts interface {
	rest.Storage
	rest.Scoper
	rest.SingularNameProvider
	rest.ShortNamesProvider
	rest.Getter
	rest.Lister
	rest.CreaterUpdater
	rest.Watcher
	rest.ResetFieldsStrategy
	rest.StorageVersionProvider
}

// namespaceREST deletes namespaces in two steps. The first request marks a namespace as terminating, and a controller
// then deletes its content and removes its finalizers, those of spec.finalizers last. Removing the last finalizer deletes the namespace.
type namespaceREST struct {
	namespaceParts
	store *genericregistry.Store
}

var (
	_ namespaceParts       = &kinds.REST{}
	_ rest.GracefulDeleter = &namespaceREST{}
)

// Delete implements rest.GracefulDeleter.
func (r *namespaceREST) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	found, err := r.store.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, false, err
	}
	ns := found.(*corev1.Namespace)
	options = options.DeepCopy()
	if options == nil {
		options = metav1.NewDeleteOptions(0)
	}
	if options.Preconditions == nil {
		options.Preconditions = &metav1.Preconditions{}
	}
	if err := meets(options.Preconditions, ns); err != nil {
		return nil, false, apierrors.NewConflict(namespacesResource, name, err)
	}
	// Delete only the namespace that was just read, even if another one has this name a moment later.
	options.Preconditions.UID = &ns.UID

	if ns.DeletionTimestamp.IsZero() {
		terminating, err := r.terminate(ctx, name, validate, options)
		return terminating, false, err
	}
	if len(ns.Spec.Finalizers) > 0 {
		return ns, false, nil
	}
	return r.store.Delete(ctx, name, validate, options)
}

// terminate marks a namespace as terminating and returns it.
func (r *namespaceREST) terminate(ctx context.Context, name string, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, error) {
	key, err := r.store.KeyFunc(ctx, name)
	if err != nil {
		return nil, err
	}
	out := &corev1.Namespace{}
	preconditions := &storage.Preconditions{UID: options.Preconditions.UID, ResourceVersion: options.Preconditions.ResourceVersion}
	mark := storage.SimpleUpdate(func(existing runtime.Object) (runtime.Object, error) {
		ns, ok := existing.(*corev1.Namespace)
		if !ok {
			return nil, fmt.Errorf("terminating a namespace: found a %T", existing)
		}
		if err := validate(ctx, ns); err != nil {
			return nil, err
		}
		if ns.DeletionTimestamp.IsZero() {
			now := metav1.Now()
			ns.DeletionTimestamp = &now
		}
		ns.Status.Phase = corev1.NamespaceTerminating
		ns.Finalizers = propagating(ns.Finalizers, options)
		return ns, nil
	})
	err = r.store.Storage.GuaranteedUpdate(ctx, key, out, false, preconditions, mark, dryrun.IsDryRun(options.DryRun), nil)
	if err == nil {
		return out, nil
	}
	err = storeerr.InterpretUpdateError(storeerr.InterpretGetError(err, namespacesResource, name), namespacesResource, name)
	if status := apierrors.APIStatus(nil); !errors.As(err, &status) {
		err = apierrors.NewInternalError(fmt.Errorf("terminating namespace %s: %w", name, err))
	}
	return nil, err
}

// propagating returns the finalizers of an object whose deletion begins with options: those that the garbage collector removes follow from
// the options, or stay if these say nothing.
func propagating(finalizers []string, options *metav1.DeleteOptions) []string {
	var policy metav1.DeletionPropagation
	switch orphan := options.OrphanDependents; { //nolint:staticcheck // SA1019: deprecated, and still sent.
	case orphan != nil && *orphan:
		policy = metav1.DeletePropagationOrphan
	case orphan != nil:
		policy = metav1.DeletePropagationBackground
	case options.PropagationPolicy != nil:
		policy = *options.PropagationPolicy
	default:
		return finalizers
	}
	kept := slices.DeleteFunc(slices.Clone(finalizers), func(f string) bool {
		return f == metav1.FinalizerOrphanDependents || f == metav1.FinalizerDeleteDependents
	})
	switch policy {
	case metav1.DeletePropagationOrphan:
		return append(kept, metav1.FinalizerOrphanDependents)
	case metav1.DeletePropagationForeground:
		return append(kept, metav1.FinalizerDeleteDependents)
	}
	return kept
}

// meets returns an error unless ns meets the preconditions of the client.
func meets(preconditions *metav1.Preconditions, ns *corev1.Namespace) error {
	if uid := preconditions.UID; uid != nil && *uid != ns.UID {
		return fmt.Errorf("Precondition failed: UID in precondition: %v, UID in object meta: %v", *uid, ns.UID) //nolint:staticcheck // ST1005: clients know this text from Kubernetes.
	}
	if version := preconditions.ResourceVersion; version != nil && *version != ns.ResourceVersion {
		return fmt.Errorf("Precondition failed: ResourceVersion in precondition: %v, ResourceVersion in object meta: %v", *version, ns.ResourceVersion) //nolint:staticcheck // ST1005: as above.
	}
	return nil
}

// contentGuard refuses to delete a namespace from storage if its deletion never began. If the deletion began, it allows this step: the
// update that removes the last finalizer ends with it, while the stored object still has the finalizer.
type contentGuard struct{ storage.Interface }

// Delete implements storage.Interface.
func (g *contentGuard) Delete(ctx context.Context, key string, out runtime.Object, preconditions *storage.Preconditions,
	validate storage.ValidateObjectFunc, cached runtime.Object, opts storage.DeleteOptions) error {
	guarded := func(ctx context.Context, obj runtime.Object) error {
		if ns, ok := obj.(*corev1.Namespace); ok && len(ns.Spec.Finalizers) > 0 && ns.DeletionTimestamp.IsZero() {
			return apierrors.NewConflict(namespacesResource, ns.Name, fmt.Errorf("finalizers %v are still set", ns.Spec.Finalizers))
		}
		return validate(ctx, obj)
	}
	return g.Interface.Delete(ctx, key, out, preconditions, guarded, cached, opts)
}
