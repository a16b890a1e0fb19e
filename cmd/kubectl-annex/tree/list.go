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

// Read lists all Workspaces at a URL.
type Read func(ctx context.Context, s *session.Session, url string) ([]tenancyv1alpha1.Workspace, error)

// Of returns the workspaces at and below path, as read returns them. From root, it tries one list for all of them, and otherwise reads each workspace by
// itself until ctx ends.
func Of(ctx context.Context, s *session.Session, path logicalcluster.Path, read Read) (*Node, error) {
	d, err := s.Door(ctx)
	if err != nil {
		return nil, err
	}
	if path == logicalcluster.Root.Path() {
		qualified := path.String() + logicalcluster.Separator + export
		if all, err := read(ctx, s, d.ExportURL(qualified, logicalcluster.Root, export)); err == nil {
			return Plant(path, logicalcluster.Root, all), nil
		}
	}
	return Grow(ctx, path, one(s, read)), nil
}

// one lists the workspaces in one workspace.
func one(s *session.Session, read Read) List {
	return func(ctx context.Context, path logicalcluster.Path) ([]tenancyv1alpha1.Workspace, error) {
		url, err := s.ObjectsURL(ctx, path)
		if err != nil {
			return nil, err
		}
		workspaces, err := read(ctx, s, url)
		if err != nil {
			return nil, fmt.Errorf("listing the workspaces in %q: %w", path, err)
		}
		return workspaces, nil
	}
}

// Whole is the Read of Workspaces with all their fields.
func Whole(ctx context.Context, s *session.Session, url string) (all []tenancyv1alpha1.Workspace, err error) {
	clients, err := s.Clients(url)
	if err != nil {
		return nil, err
	}
	err = pages(func(next string) (string, error) {
		list, err := clients.TenancyV1alpha1().Workspaces().List(ctx, metav1.ListOptions{Limit: page, Continue: next})
		if err != nil {
			return "", err
		}
		all = append(all, list.Items...)
		return list.Continue, nil
	})
	return all, err
}

// pages calls read with each continue token, and begins without one.
func pages(read func(next string) (string, error)) error {
	for next := ""; ; {
		var err error
		if next, err = read(next); err != nil || next == "" {
			return err
		}
	}
}
