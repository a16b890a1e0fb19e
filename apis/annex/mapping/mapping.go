package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Placeholder is the segment of a path that is replaced by the namespace of a request.
const Placeholder = "{namespace}"

// Mapping is the path of a HostBinding, such as root:platform or root:teams:{namespace}.
type Mapping struct {
	segments []string
	at       int // index of the placeholder, or -1
}

// Parse returns the mapping that path describes, or an error for users. A path is absolute and does not lead to a cluster
// of the server itself.
func Parse(path string) (Mapping, error) {
	m := Mapping{segments: strings.Split(path, logicalcluster.Separator), at: -1}
	for i, segment := range m.segments {
		switch {
		case segment != Placeholder && strings.ContainsAny(segment, "{}"):
			return Mapping{}, fmt.Errorf("%q: the only text allowed in braces is %s, as a complete segment", segment, Placeholder)
		case segment != Placeholder:
		case i == 0:
			return Mapping{}, fmt.Errorf("%s cannot be the first segment", Placeholder)
		case m.at >= 0:
			return Mapping{}, fmt.Errorf("%s is allowed only once", Placeholder)
		default:
			m.at = i
		}
	}
	sample := m.join("x", len(m.segments))
	if sample == logicalcluster.Wildcard || logicalcluster.Name(sample).IsSystem() {
		return Mapping{}, errors.New("must be a workspace")
	}
	if _, err := logicalcluster.ParsePath(sample.String()); err != nil {
		return Mapping{}, fmt.Errorf("if the namespace is x: %w", err)
	}
	return m, nil
}

// Fixed reports whether all namespaces map to one workspace.
func (m Mapping) Fixed() bool { return m.at < 0 }

// Last reports whether the last segment is the namespace, so that no other workspace is necessary between the fixed part and the
// workspace itself.
func (m Mapping) Last() bool { return m.at == len(m.segments)-1 }

// For returns the path of the workspace of namespace; false if there can be none. namespace is empty for
// cluster-scoped objects. A mapping that is not [Mapping.Fixed] has no workspace for them.
func (m Mapping) For(namespace string) (logicalcluster.Path, bool) {
	if !m.Fixed() && namespace == "" {
		return "", false
	}
	path := m.join(namespace, len(m.segments))
	parsed, err := logicalcluster.ParsePath(path.String())
	if err != nil || len(parsed.Segments()) != len(m.segments) {
		return "", false
	}
	return parsed, true
}

// Base returns the path before the segment of the namespace, or the whole path of a fixed mapping. A user who may decide for that
// workspace decides for all mapped workspaces.
func (m Mapping) Base() logicalcluster.Path {
	if m.Fixed() {
		return m.join("", len(m.segments))
	}
	return m.join("", m.at)
}

// String returns the path as it was parsed.
func (m Mapping) String() string { return strings.Join(m.segments, logicalcluster.Separator) }

func (m Mapping) join(namespace string, n int) logicalcluster.Path {
	segments := slices.Clone(m.segments[:n])
	if m.at >= 0 && m.at < n {
		segments[m.at] = namespace
	}
	return logicalcluster.Path(strings.Join(segments, logicalcluster.Separator))
}
