package controller

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	appv1 "github.com/annex-dev/annex/examples/composition/api/v1"
	databasev1 "github.com/annex-dev/annex/examples/database-operator/api/v1"
	routev1 "github.com/annex-dev/annex/examples/route-operator/api/v1"
)

// delete deletes the parts of an App one after the other, and then lets the App go. Nobody can reach a program whose data is gone already. The
// end of each part, which is watched, leads back to here.
func (r *Reconciler) delete(ctx context.Context, in client.Client, app *appv1.App) error {
	if !controllerutil.ContainsFinalizer(app, finalizer) {
		return nil
	}
	for _, part := range []client.Object{&routev1.Route{}, &databasev1.Database{}} {
		gone, err := remove(ctx, in, app, part)
		if err != nil || !gone {
			return err
		}
	}
	controllerutil.RemoveFinalizer(app, finalizer)
	if err := in.Update(ctx, app); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer: %w", err)
	}
	return nil
}

// remove deletes a part of app. It reports whether there is nothing more to wait for: the part is gone, belongs to somebody else, or is out of
// reach, when the garbage collector of the workspace deletes it after the App.
func remove(ctx context.Context, in client.Client, app *appv1.App, part client.Object) (gone bool, err error) {
	err = in.Get(ctx, client.ObjectKeyFromObject(app), part)
	if err == nil && !metav1.IsControlledBy(part, app) {
		return true, nil
	}
	if err == nil && part.GetDeletionTimestamp().IsZero() {
		uid := part.GetUID()
		err = in.Delete(ctx, part, client.Preconditions{UID: &uid})
	}
	switch {
	case err == nil:
		return false, nil
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return true, nil
	}
	return false, fmt.Errorf("deleting a %T: %w", part, err)
}
