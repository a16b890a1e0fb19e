package engine

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/cmd/annex/sync/names"
)

// ensureCounterpart makes the counterpart of obj as it is wanted, and returns it.
func (s *syncer) ensureCounterpart(ctx context.Context, obj, want *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	key, at := client.KeyOf(obj), ctrlclient.ObjectKeyFromObject(want)
	found := s.newCounterpart()
	err := s.service.GetCache().Get(ctx, at, found)
	if apierrors.IsNotFound(err) {
		created, err := s.create(ctx, want)
		if !apierrors.IsAlreadyExists(err) {
			return created, explained(err)
		}
		// Something that the agent has not made is not in its cache, and what it has just made is not there yet.
		if err := s.service.GetAPIReader().Get(ctx, at, found); err != nil {
			return nil, fmt.Errorf("reading the counterpart: %w", err)
		}
	} else if err != nil {
		return nil, fmt.Errorf("reading the counterpart: %w", err)
	}
	switch {
	case !s.names.IsCounterpart(found, key):
		return nil, refuse(reasonNameTaken, "%s %q of the service cluster was not made by %s", s.converter.Service.Kind, at, component)
	case names.UID(found) != string(obj.GetUID()):
		// Of an object of the same name, which is gone.
		if err := s.deleteCounterpart(ctx, found); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %s is that of an object that is gone", errWait, at)
	case found.GetDeletionTimestamp() != nil:
		return nil, fmt.Errorf("%w: %s is being deleted", errWait, at)
	}
	current, err := s.update(ctx, found, want)
	return current, explained(err)
}

// removeCounterpart deletes the counterpart of the object called key, and returns errWait until it is gone. What the agent has not made stays.
func (s *syncer) removeCounterpart(ctx context.Context, key client.Key) error {
	namespace, name := s.converter.ServiceName(key)
	found := s.newCounterpart()
	// From the server: the cache may not have what was just made.
	switch err := s.service.GetAPIReader().Get(ctx, ctrlclient.ObjectKey{Namespace: namespace, Name: name}, found); {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("reading the counterpart: %w", err)
	case !s.names.IsCounterpart(found, key):
		return nil
	case found.GetDeletionTimestamp() == nil:
		if err := s.deleteCounterpart(ctx, found); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: %s/%s is being deleted", errWait, namespace, name)
}

// deleteCounterpart deletes what was just found to be the agent's own.
func (s *syncer) deleteCounterpart(ctx context.Context, found *unstructured.Unstructured) error {
	uid, version := found.GetUID(), found.GetResourceVersion()
	err := s.service.GetClient().Delete(ctx, found, ctrlclient.Preconditions{UID: &uid, ResourceVersion: &version})
	if ctrlclient.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the counterpart: %w", err)
	}
	s.wrote("service", s.converter.Service.GroupKind().String(), "delete")
	return nil
}
