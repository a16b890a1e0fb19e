package engine

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/cmd/annex/sync/config"
	"github.com/annex-dev/annex/cmd/annex/sync/names"
)

// errWait says that something must end first in the service cluster.
var errWait = errors.New("waiting for the service cluster")

// ensureNamespace makes the namespace for the object called key, unless it is there.
func (s *syncer) ensureNamespace(ctx context.Context, key client.Key) error {
	if s.config.Naming.Layout == config.SingleNamespace {
		return nil // the provider has made it
	}
	name := s.names.Namespace(key)
	found := metadataOf(namespaceKind)
	err := s.service.GetCache().Get(ctx, ctrlclient.ObjectKey{Name: name}, found)
	if apierrors.IsNotFound(err) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		s.names.MarkNamespace(namespace, key)
		err = s.service.GetClient().Create(ctx, namespace)
		if err == nil {
			s.wrote("service", "namespaces", "create")
			return nil
		}
		if apierrors.IsAlreadyExists(err) {
			err = s.service.GetAPIReader().Get(ctx, ctrlclient.ObjectKey{Name: name}, found)
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("making namespace %q in the service cluster: %w", name, err)
	case !s.names.OwnsNamespace(found, key):
		return refuse(reasonNameTaken, "the namespace %q of the service cluster was not made by %s", name, component)
	case found.DeletionTimestamp != nil:
		return fmt.Errorf("%w: namespace %q is being deleted", errWait, name)
	}
	return nil
}

// dropNamespace deletes the namespace for the object called key, whose counterpart is gone, if the agent has made it and no other object needs it.
// Of several objects that are deleted at the same time, the one whose counterpart goes last does it.
func (s *syncer) dropNamespace(ctx context.Context, key client.Key) error {
	if s.config.Naming.Layout == config.SingleNamespace || s.config.Naming.KeepNamespaces {
		return nil
	}
	name := s.names.Namespace(key)
	namespace := metadataOf(namespaceKind)
	switch err := s.service.GetAPIReader().Get(ctx, ctrlclient.ObjectKey{Name: name}, namespace); {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("reading namespace %q of the service cluster: %w", name, err)
	case !s.names.OwnsNamespace(namespace, key), namespace.DeletionTimestamp != nil:
		return nil
	}
	for _, other := range s.following() {
		used, err := other.uses(ctx, name, key)
		if err != nil || used {
			return err
		}
	}
	preconditions := ctrlclient.Preconditions{UID: &namespace.UID, ResourceVersion: &namespace.ResourceVersion}
	if err := s.service.GetClient().Delete(ctx, namespace, preconditions); ctrlclient.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting namespace %q of the service cluster: %w", name, err)
	}
	s.wrote("service", "namespaces", "delete")
	return nil
}

// uses reports whether objects need the namespace called name, which is that of key: there are counterparts, or will be.
func (s *syncer) uses(ctx context.Context, name string, key client.Key) (bool, error) {
	counterparts := newList(s.converter.Service)
	selected := ctrlclient.MatchingLabels{names.AgentLabel: s.names.Agent, names.NamespaceLabel: name}
	if err := s.service.GetAPIReader().List(ctx, counterparts, selected, ctrlclient.Limit(1)); err != nil {
		return false, fmt.Errorf("looking for objects of namespace %q of the service cluster: %w", name, err)
	}
	if len(counterparts.Items) > 0 {
		return true, nil
	}
	list := newList(s.converter.Consumer)
	var options []ctrlclient.ListOption
	if s.config.Naming.Layout == config.NamespacePerNamespace && s.converter.ConsumerNamespaced {
		options = append(options, ctrlclient.InNamespace(key.Namespace))
	}
	if err := s.manager.In(key.Cluster).List(ctx, list, options...); err != nil {
		return false, fmt.Errorf("looking for objects that use namespace %q: %w", name, err)
	}
	for i := range list.Items {
		other := &list.Items[i]
		if other.GetDeletionTimestamp() == nil && controllerutil.ContainsFinalizer(other, names.Finalizer) && s.names.Namespace(client.KeyOf(other)) == name {
			return true, nil
		}
	}
	return false, nil
}

func (a *Agent) wrote(side, resource, verb string) {
	a.counts.writes.WithLabelValues(side, resource, verb).Inc()
}
