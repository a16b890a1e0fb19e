package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/cmd/kubectl-annex/near"
)

// listed is how many workspaces are read to find one that a user may have meant.
const listed = 1000

// MissingError says that a workspace does not exist, as far as the user can see.
type MissingError struct {
	Path logicalcluster.Path
	hint string
}

// Error implements error.
func (e *MissingError) Error() string { return fmt.Sprintf("workspace %q not found%s", e.Path, e.hint) }

// IsMissing reports whether err says that a workspace does not exist.
func IsMissing(err error) bool {
	missing := (*MissingError)(nil)
	return errors.As(err, &missing)
}

// missing returns the error for a workspace that the user may not enter, if it is missing or one above it is; nil if it exists, or if the user
// cannot find out. The server does not tell the difference, but workspaces that the user may list do.
func (s *Session) missing(ctx context.Context, path logicalcluster.Path) error {
	// The first workspace of the path that is not there: its parent is.
	for gone := path; ; {
		parent, name := gone.Split()
		if parent.Empty() {
			return s.missingTop(ctx, path)
		}
		names, ok := s.below(ctx, parent)
		if !ok {
			gone = parent
			continue
		}
		rest := strings.TrimPrefix(path.String(), gone.String())
		there := ""
		if rest != "" {
			there = fmt.Sprintf(": there is no %q", gone)
		}
		if slices.Contains(names, name) {
			return nil
		}
		if len(near.Names(name, names)) == 0 {
			if above := s.above(ctx, parent, name); !above.Empty() {
				return &MissingError{path, fmt.Sprintf("%s; did you mean %q?", there, ":"+above.String()+rest)}
			}
		}
		if len(names) == 0 {
			return &MissingError{path, fmt.Sprintf("%s; %q has no workspaces below it", there, parent)}
		}
		return &MissingError{path, there + near.Hint(name, names, ":"+parent.String()+logicalcluster.Separator)}
	}
}

// missingTop is missing for a path of which the user may list nothing. The top of all trees that users know is root.
func (s *Session) missingTop(ctx context.Context, path logicalcluster.Path) error {
	first := path.Segments()[0]
	if first == logicalcluster.Root.String() {
		return nil
	}
	if names, _ := s.below(ctx, logicalcluster.Root.Path()); slices.Contains(names, first) {
		return &MissingError{path, fmt.Sprintf("; did you mean %q?", ":root:"+path.String())}
	}
	return nil
}

// above returns the workspace called name next to one of those on the way from path to the top; empty if there is none.
func (s *Session) above(ctx context.Context, path logicalcluster.Path, name string) logicalcluster.Path {
	for path, _ = path.Split(); !path.Empty(); path, _ = path.Split() {
		if names, _ := s.below(ctx, path); slices.Contains(names, name) {
			return path.Join(name)
		}
	}
	return ""
}

// below returns the names of the workspaces in the one at path; false if the user may not list them.
func (s *Session) below(ctx context.Context, path logicalcluster.Path) ([]string, bool) {
	d, err := s.Door(ctx)
	if err != nil {
		return nil, false
	}
	if _, single := path.Name(); single && d.Host && path != logicalcluster.Root.Path() {
		return nil, false // a host takes it for a child of the host workspace
	}
	url, err := s.ObjectsURL(ctx, path)
	if err != nil {
		return nil, false
	}
	clients, err := s.QuietClients(url)
	if err != nil {
		return nil, false
	}
	list, err := clients.TenancyV1alpha1().Workspaces().List(ctx, metav1.ListOptions{Limit: listed})
	if err != nil || list.Continue != "" {
		// With more than that, the one that was named may be among the others.
		return nil, false
	}
	names := []string{}
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names, true
}
