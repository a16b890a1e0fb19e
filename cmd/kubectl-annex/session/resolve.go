package session

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/homedir"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/cmd/kubectl-annex/address"
)

// homeName is the name by which users read their home workspaces in root.
const homeName = "~"

// Target is the workspace that a user named.
type Target struct {
	address.Target
	// Path is the absolute path, or the name of the logical cluster of a home workspace. It is empty for address.Here and address.Back.
	Path logicalcluster.Path
}

// Resolve returns the workspace for what a user typed. The current workspace is asked for only if the address is relative.
func (s *Session) Resolve(ctx context.Context, arg string) (Target, error) {
	origin := address.Origin{URL: s.URL(), HomeDirectory: homedir.HomeDir()}
	target, err := address.Parse(arg, origin)
	if err != nil {
		// Relative addresses, and faults.
		if origin, err = s.Origin(ctx); err != nil {
			return Target{}, err
		}
		if target, err = address.Parse(arg, origin); err != nil {
			return Target{}, err
		}
	}
	if target.Kind != address.Home {
		return Target{target, target.Path}, nil
	}
	path, err := s.home(ctx)
	if err != nil {
		return Target{}, err
	}
	for _, name := range target.Below {
		path = path.Join(name)
	}
	if _, err := logicalcluster.ParsePath(path.String()); err != nil {
		return Target{}, fmt.Errorf("invalid workspace path: %s", arg)
	}
	return Target{target, path}, nil
}

// Origin returns where relative addresses begin. Its path is empty if the context does not lead to a workspace.
func (s *Session) Origin(ctx context.Context) (address.Origin, error) {
	origin := address.Origin{URL: s.URL(), Path: s.Path(), HomeDirectory: homedir.HomeDir()}
	// On a host, the name of a child of the host workspace is an address, too, and a URL without any is the host workspace.
	switch name, single := s.Path().Name(); {
	case !s.Path().Empty() && (!single || !s.here.Host || name == logicalcluster.Root):
		return origin, nil
	case !s.Path().Empty():
		if origin.Path = s.canonical(ctx, s.URL()); !origin.Path.Empty() {
			return origin, nil
		}
		// Who may not read the path has none. A server that does not answer is another matter.
		_, err := s.MayEnter(ctx, s.Path())
		return origin, err
	}
	onHost, err := s.onHostItself(ctx)
	if err == nil && onHost {
		origin.Path = s.hostPath(ctx)
	}
	return origin, err
}

// onHostItself reports whether the URL of the context is that of a host, without a path.
func (s *Session) onHostItself(ctx context.Context) (bool, error) {
	d, err := s.Door(ctx)
	return err == nil && d.Host && d.Here == "" && d.Base == strings.TrimRight(s.URL(), "/"), err
}

// hostPath returns the workspace that the host shows as its own; empty if the user may not find out.
func (s *Session) hostPath(ctx context.Context) logicalcluster.Path {
	s.host.Do(func() { s.hostShow = s.canonical(ctx, s.door.Base) })
	return s.hostShow
}

// canonical returns the absolute path of the workspace at a URL; empty if the user may not find out.
func (s *Session) canonical(ctx context.Context, url string) logicalcluster.Path {
	clients, err := s.QuietClients(url)
	if err != nil {
		return ""
	}
	lc, err := clients.CoreV1alpha1().LogicalClusters().Get(ctx, corev1alpha1.LogicalClusterName, metav1.GetOptions{})
	if err == nil {
		return logicalcluster.Path(lc.Annotations[logicalcluster.PathAnnotationKey])
	}
	// A user who may only see workspaces learns it from one of them.
	list, err := clients.TenancyV1alpha1().Workspaces().List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil || len(list.Items) == 0 {
		return ""
	}
	parent, _ := PathOf(list.Items[0].Spec.URL).Split()
	return parent
}

// PathOf returns the workspace in the URL of a Workspace; empty if there is none.
func PathOf(url string) logicalcluster.Path {
	_, after, _ := strings.Cut(url, "/clusters/")
	path, err := logicalcluster.ParsePath(strings.TrimRight(after, "/"))
	if err != nil || path == logicalcluster.Wildcard {
		return ""
	}
	return path
}

// home returns the address of the home workspace of the user. The server creates it if there is none.
func (s *Session) home(ctx context.Context) (logicalcluster.Path, error) {
	d, err := s.Door(ctx)
	if err != nil {
		return "", err
	}
	clients, err := s.Clients(d.WorkspaceURL(logicalcluster.Root.Path()))
	if err != nil {
		return "", err
	}
	workspace, err := clients.TenancyV1alpha1().Workspaces().Get(ctx, homeName, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("reading your home workspace: %w", err)
	}
	path := PathOf(workspace.Spec.URL)
	if path.Empty() {
		return "", fmt.Errorf("your home workspace has the URL %q, which does not point to a workspace", workspace.Spec.URL)
	}
	if _, single := path.Name(); single && d.Host {
		// The host takes a single name for a child of the host workspace.
		if path = logicalcluster.Path(workspace.Annotations[logicalcluster.PathAnnotationKey]); !strings.Contains(path.String(), logicalcluster.Separator) {
			return "", errNoHome
		}
	}
	return path, nil
}
