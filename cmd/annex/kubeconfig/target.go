package kubeconfig

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Target is the workspace or APIExport that a kubeconfig is for. The zero value is not a target.
type Target struct {
	// Workspace is an absolute path. Empty: the workspace of the context to start from.
	Workspace logicalcluster.Path
	// Child is the name of a workspace below that one. Empty: that workspace itself.
	Child string
	// Export is the name of an APIExport in the workspace. Empty: the workspace itself.
	Export string
}

// ParseWorkspace returns the target for a workspace: a path such as root:org:team, or the name of a child.
func ParseWorkspace(s string) (Target, error) {
	if s != logicalcluster.Root.String() && !strings.Contains(s, logicalcluster.Separator) {
		if err := validChild(s); err != nil {
			return Target{}, err
		}
		return Target{Child: s}, nil
	}
	path, err := parsePath(s)
	return Target{Workspace: path}, err
}

// ParseExport returns the target for the endpoint of an APIExport: <path>:<name>, or only the name if the APIExport is in the
// workspace of the context to start from.
func ParseExport(s string) (Target, error) {
	t := Target{Export: s}
	if i := strings.LastIndex(s, logicalcluster.Separator); i >= 0 {
		path, err := parsePath(s[:i])
		if err != nil {
			return Target{}, err
		}
		t.Workspace, t.Export = path, s[i+1:]
	}
	if t.Export == "" {
		return Target{}, fmt.Errorf("%q does not name an APIExport: use <path of its workspace>:<name>, such as root:provider:widgets", s)
	}
	if faults := content.IsPathSegmentName(t.Export); len(faults) > 0 {
		return Target{}, fmt.Errorf("%q is not a name of an APIExport: it %s", t.Export, strings.Join(faults, ", "))
	}
	return t, nil
}

func parsePath(s string) (logicalcluster.Path, error) {
	path, err := logicalcluster.ParsePath(s)
	if err == nil && path == logicalcluster.Wildcard {
		err = errors.New("* means all workspaces: only the endpoint of an APIExport shows several workspaces")
	}
	if err != nil {
		return "", fmt.Errorf("%q is not a path of a workspace, such as root:org:team: %w", s, err)
	}
	return path, nil
}

// validChild checks the name of a workspace in its parent.
func validChild(name string) error {
	if _, err := logicalcluster.ParsePath(logicalcluster.Root.Path().Join(name).String()); name == "" || err != nil {
		return fmt.Errorf("%q is not a workspace: use a path such as root:org:team, or the name of a child, which has lower-case letters, digits and dashes", name)
	}
	return nil
}

// contextName returns the default name of the context for the target. No path contains a slash, so the names for an APIExport and
// for a workspace with the same path differ.
func (t Target) contextName() string {
	if t.Export == "" {
		return t.Workspace.String()
	}
	return "apiexport/" + t.exportName()
}

// exportName returns the name of the APIExport as the host's URL and users write it.
func (t Target) exportName() string {
	if t.Workspace.Empty() {
		return t.Export
	}
	return t.Workspace.String() + logicalcluster.Separator + t.Export
}
