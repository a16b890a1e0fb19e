package session

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"

	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// DeniedError says that the user may not enter a workspace, which may or may not exist.
type DeniedError struct{ Path logicalcluster.Path }

// Error implements error.
func (e *DeniedError) Error() string { return fmt.Sprintf("access to workspace %q denied", e.Path) }

// IsDenied reports whether err says that the user may not enter a workspace.
func IsDenied(err error) bool {
	denied := (*DeniedError)(nil)
	return errors.As(err, &denied)
}

// Check returns an error unless the user may enter the workspace at path: a MissingError if it does not exist, as far as the user can see, and
// otherwise a DeniedError; another error if the server does not say. It returns its Workspace, which is nil for root and if the user may not read it
// in the parent.
func (s *Session) Check(ctx context.Context, path logicalcluster.Path) (*tenancyv1alpha1.Workspace, error) {
	enter, err := s.MayEnter(ctx, path)
	if err != nil {
		return nil, err
	}
	workspace, err := s.Workspace(ctx, path)
	switch {
	case !enter:
		if missing := s.missing(ctx, path); missing != nil {
			return nil, missing
		}
		if apierrors.IsNotFound(err) {
			return nil, &MissingError{Path: path}
		}
		return nil, &DeniedError{Path: path}
	case err != nil:
		return nil, nil //nolint:nilnil // who may enter a workspace need not see its parent
	}
	return workspace, nil
}

// MayEnter reports whether the user may enter a workspace: discovery is empty for those who may not.
func (s *Session) MayEnter(ctx context.Context, path logicalcluster.Path) (bool, error) {
	d, err := s.Door(ctx)
	if err != nil {
		return false, err
	}
	client, err := discovery.NewDiscoveryClientForConfig(s.Quiet(d.WorkspaceURL(path)))
	if err != nil {
		return false, fmt.Errorf("using the kubeconfig: %w", err)
	}
	// The list of groups is the smallest document that says it.
	var groups metav1.APIGroupList
	err = client.RESTClient().Get().AbsPath("/apis").SetHeader("Accept", "application/json").Do(ctx).Into(&groups)
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, explain(d.Base, fmt.Sprintf("reading the APIs of workspace %q", path), err)
	}
	return len(groups.Groups) > 0, nil
}

// Workspace returns the Workspace at path, from its parent; nil if it has none.
func (s *Session) Workspace(ctx context.Context, path logicalcluster.Path) (*tenancyv1alpha1.Workspace, error) {
	parent, name := path.Split()
	if parent.Empty() {
		return nil, nil //nolint:nilnil // the top of a tree is in no workspace
	}
	url, err := s.ObjectsURL(ctx, parent)
	if err != nil {
		return nil, err
	}
	clients, err := s.QuietClients(url)
	if err != nil {
		return nil, err
	}
	return clients.TenancyV1alpha1().Workspaces().Get(ctx, name, metav1.GetOptions{})
}
