package offer

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
)

// Migrate has the server rewrite the objects of a resource, those of an APIExport or, without one, those of the workspace, and returns the
// APIStorageMigration.
func (w *Workspace) Migrate(ctx context.Context, gr schema.GroupResource, export string) (*annexv1alpha1.APIStorageMigration, error) {
	migration, err := w.exports.AnnexV1alpha1().APIStorageMigrations().Create(ctx, &annexv1alpha1.APIStorageMigration{
		ObjectMeta: metav1.ObjectMeta{GenerateName: gr.Resource + "-"}, Spec: annexv1alpha1.APIStorageMigrationSpec{Export: export, Resource: gr.String()},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("creating an APIStorageMigration: %w", err)
	}
	return migration, nil
}

// AwaitMigration waits until an APIStorageMigration has ended, and returns it. It calls progress with what there is so far.
func (w *Workspace) AwaitMigration(ctx context.Context, name string, progress func(*annexv1alpha1.APIStorageMigrationStatus)) (migration *annexv1alpha1.APIStorageMigration, err error) {
	err = wait.PollUntilContextCancel(ctx, reportEvery, true, func(ctx context.Context) (bool, error) {
		if migration, err = w.exports.AnnexV1alpha1().APIStorageMigrations().Get(ctx, name, metav1.GetOptions{}); err != nil {
			return false, err
		}
		progress(&migration.Status)
		return migration.Status.Phase == annexv1alpha1.APIStorageMigrationComplete || migration.Status.Phase == annexv1alpha1.APIStorageMigrationFailed, nil
	})
	if err != nil {
		return nil, fmt.Errorf("waiting for APIStorageMigration %q: %w", name, err)
	}
	return migration, nil
}

// ForgetMigration deletes an APIStorageMigration that has ended.
func (w *Workspace) ForgetMigration(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute) // also after an interrupt
	defer cancel()
	if err := w.exports.AnnexV1alpha1().APIStorageMigrations().Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("deleting APIStorageMigration %q: %w", name, err)
	}
	return nil
}
