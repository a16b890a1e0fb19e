package tree

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/cmd/kubectl-annex/session"
)

// page is how many Workspaces one answer holds: some 2 MB. With 500, a list of 10,000 costs the server more than twice as much.
const page = 2000

// export is root's export of Workspaces. Its endpoint shows those of all workspaces.
const export = "tenancy.kcp.io"

// Of returns the workspaces at and below path. From root, it tries one list for all of them, and otherwise reads each workspace by
// itself until ctx ends.
func Of(ctx context.Context, s *session.Session, path logicalcluster.Path) (*Node, error) {
	d, err := s.Door(ctx)
	if err != nil {
		return nil, err
	}
	if path == logicalcluster.Root.Path() {
		qualified := path.String() + logicalcluster.Separator + export
		if all, err := at(ctx, s, d.ExportURL(qualified, logicalcluster.Root, export)); err == nil {
			return Plant(path, logicalcluster.Root, all), nil
		}
	}
	return Grow(ctx, path, one(s)), nil
}

// one lists the workspaces in one workspace.
func one(s *session.Session) List {
	return func(ctx context.Context, path logicalcluster.Path) ([]tenancyv1alpha1.Workspace, error) {
		url, err := s.ObjectsURL(ctx, path)
		if err != nil {
			return nil, err
		}
		workspaces, err := at(ctx, s, url)
		if err != nil {
			return nil, fmt.Errorf("listing the workspaces in %q: %w", path, err)
		}
		return workspaces, nil
	}
}

// at lists all Workspaces at a URL.
func at(ctx context.Context, s *session.Session, url string) ([]tenancyv1alpha1.Workspace, error) {
	clients, err := s.Clients(url)
	if err != nil {
		return nil, err
	}
	var all []tenancyv1alpha1.Workspace
	options := metav1.ListOptions{Limit: page}
	for {
		list, err := clients.TenancyV1alpha1().Workspaces().List(ctx, options)
		if err != nil {
			return nil, err
		}
		all = append(all, list.Items...)
		if options.Continue = list.Continue; options.Continue == "" {
			return all, nil
		}
	}
}
