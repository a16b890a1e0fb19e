package quickstart

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/generated/clientset/versioned"
	tenancyclient "github.com/annex-dev/annex/generated/clientset/versioned/typed/tenancy/v1alpha1"
)

// pollEvery is the pause between two looks at what is not ready yet.
const pollEvery = 250 * time.Millisecond

// Server leads to workspaces.
type Server interface {
	// At returns credentials for the workspace at path.
	At(path logicalcluster.Path) *rest.Config
	// Workspaces returns credentials for the Workspaces in the workspace at path.
	Workspaces(ctx context.Context, path logicalcluster.Path) (*rest.Config, error)
}

// Builder builds a scenario.
type Builder struct {
	Server
	// Parent is the workspace in which everything is built.
	Parent logicalcluster.Path
	// Prefix begins the names of all workspaces.
	Prefix string
	// Say tells the user what was done.
	Say func(format string, args ...any)
	// Doing tells the user what is being waited for.
	Doing func(format string, args ...any)
}

// Top returns the workspace that everything is in.
func (b *Builder) Top() logicalcluster.Path { return b.Parent.Join(b.name("org")) }

func (b *Builder) name(what string) string { return b.Prefix + "-" + what }

// clients returns clients for the Workspaces in the workspace at path.
func (b *Builder) clients(ctx context.Context, path logicalcluster.Path) (tenancyclient.WorkspaceInterface, error) {
	config, err := b.Workspaces(ctx, path)
	if err != nil {
		return nil, err
	}
	clients, err := versioned.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	return clients.TenancyV1alpha1().Workspaces(), nil
}

// workspace creates a workspace, unless it is there, and waits until it is Ready.
func (b *Builder) workspace(ctx context.Context, parent logicalcluster.Path, name, typ string) (logicalcluster.Path, error) {
	workspaces, err := b.clients(ctx, parent)
	if err != nil {
		return "", err
	}
	w := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if typ != "" {
		w.Spec.Type = &tenancyv1alpha1.WorkspaceTypeReference{Name: tenancyv1alpha1.WorkspaceTypeName(typ), Path: logicalcluster.Root.String()}
	}
	path := parent.Join(name)
	if _, err := workspaces.Create(ctx, w, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return "", fmt.Errorf("creating workspace %q: %w", path, err)
	}
	b.Doing("Workspace %q is being created", path)
	err = wait.PollUntilContextCancel(ctx, pollEvery, true, func(ctx context.Context) (bool, error) {
		latest, err := workspaces.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		return latest.Status.Phase == corev1alpha1.LogicalClusterPhaseReady, nil
	})
	if err != nil {
		return "", fmt.Errorf("waiting for workspace %q: %w", path, err)
	}
	return path, nil
}

// Cleanup removes everything, and waits until it is gone. It succeeds if there is nothing.
func (b *Builder) Cleanup(ctx context.Context) error {
	workspaces, err := b.clients(ctx, b.Parent)
	if err != nil {
		return err
	}
	name := b.name("org")
	switch err := workspaces.Delete(ctx, name, metav1.DeleteOptions{}); {
	case apierrors.IsNotFound(err):
		b.Say("There is no workspace %q.", b.Top())
		return nil
	case err != nil:
		return fmt.Errorf("deleting workspace %q: %w", b.Top(), err)
	}
	b.Doing("Workspace %q is being deleted", b.Top())
	err = wait.PollUntilContextCancel(ctx, pollEvery, true, func(ctx context.Context) (bool, error) {
		_, err := workspaces.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
	if err != nil {
		return fmt.Errorf("waiting until workspace %q is deleted: %w", b.Top(), err)
	}
	b.Say("Workspace %q and everything in it is deleted.", b.Top())
	return nil
}
