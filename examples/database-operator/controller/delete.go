package controller

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	databasev1 "github.com/annex-dev/annex/examples/database-operator/api/v1"
	"github.com/annex-dev/annex/examples/database-operator/postgres"
)

// delete cleans up after a Database and lets it go.
func (j *job) delete(ctx context.Context, tenant *postgres.Tenant) (reconcile.Result, error) {
	if !controllerutil.ContainsFinalizer(j.database, finalizer) {
		return reconcile.Result{}, nil
	}
	clean := tenant.Drop
	if j.database.Spec.DeletionPolicy == databasev1.Retain {
		clean = tenant.Retain
	}
	if err := clean(ctx); err != nil {
		return reconcile.Result{}, j.unavailable(ctx, err)
	}
	if err := j.deleteSecret(ctx); err != nil {
		return reconcile.Result{}, err
	}
	controllerutil.RemoveFinalizer(j.database, finalizer)
	if err := j.client.Update(ctx, j.database); client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("removing the finalizer: %w", err)
	}
	return reconcile.Result{}, nil
}

// deleteSecret deletes the Secret if it is ours. Without the claim, the garbage collector of the workspace does it.
func (j *job) deleteSecret(ctx context.Context) error {
	secret, refused, err := j.readSecret(ctx)
	if err != nil || refused != nil || secret == nil {
		return err
	}
	err = j.client.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: secret.Name}},
		client.Preconditions{UID: &secret.UID})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
		return fmt.Errorf("deleting the Secret: %w", err)
	}
	return nil
}
