package kubeconfig

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Target is what a kubeconfig is wanted for. The zero value stands for nothing.
type Target struct {
	// Workspace is an absolute path, or empty for the workspace that the context to begin with is in.
	Workspace logicalcluster.Path
	// Child is the name of a workspace below that one; empty for itself.
	Child string
	// Export is the name of an APIExport in the workspace; empty for the workspace itself.
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

// ParseExport returns the target for the endpoint of an APIExport: <path>:<name>, or the name alone for one in the workspace
// of the context to begin with.
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
		return Target{}, fmt.Errorf("%q names no APIExport: give <path of its workspace>:<name>, such as root:provider:widgets", s)
	}
	if faults := content.IsPathSegmentName(t.Export); len(faults) > 0 {
		return Target{}, fmt.Errorf("%q is no name of an APIExport: it %s", t.Export, strings.Join(faults, ", "))
	}
	return t, nil
}

func parsePath(s string) (logicalcluster.Path, error) {
	path, err := logicalcluster.ParsePath(s)
	if err == nil && path == logicalcluster.Wildcard {
		err = errors.New("* stands for all workspaces: only the endpoint of an APIExport leads into several")
	}
	if err != nil {
		return "", fmt.Errorf("%q is no path of a workspace, such as root:org:team: %w", s, err)
	}
	return path, nil
}

// validChild checks the name of a workspace in its parent.
func validChild(name string) error {
	if _, err := logicalcluster.ParsePath(logicalcluster.Root.Path().Join(name).String()); name == "" || err != nil {
		return fmt.Errorf("%q is no workspace: give a path such as root:org:team, or the name of a child, of lower-case letters, digits and dashes", name)
	}
	return nil
}

// contextName is how the context for the target is called unless the user says otherwise. No path holds a slash, so an
// APIExport and a workspace of the same path differ.
func (t Target) contextName() string {
	if t.Export == "" {
		return t.Workspace.String()
	}
	return "apiexport/" + t.exportName()
}

// exportName is how the host's URL and people name the APIExport.
func (t Target) exportName() string {
	if t.Workspace.Empty() {
		return t.Export
	}
	return t.Workspace.String() + logicalcluster.Separator + t.Export
}
