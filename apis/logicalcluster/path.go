package logicalcluster

import (
	"fmt"
	"regexp"
	"strings"
)

// Separator separates the segments of a path.
const Separator = ":"

// Wildcard is the path of all logical clusters.
const Wildcard Path = "*"

var segmentExp = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Path addresses a logical cluster: workspace names joined by colons below a first segment that is a cluster name, for
// example root:org:team, or a Name alone. A string that begins with "system:" is one Name, not two segments.
type Path string

// ParsePath returns s as a Path, or an error that quotes it when a segment is malformed. The wildcard is a valid path.
func ParsePath(s string) (Path, error) {
	if Path(s) == Wildcard || systemExp.MatchString(s) {
		return Path(s), nil
	}
	segments := strings.Split(s, Separator)
	if len(segments) == 1 {
		name, err := ParseName(s)
		return Path(name), err
	}
	for _, segment := range segments {
		if !segmentExp.MatchString(segment) {
			return "", fmt.Errorf("invalid cluster: %q does not match the regex %s, segments joined by %q", s, segmentExp, Separator)
		}
	}
	return Path(s), nil
}

// String returns the path as it stands in URLs.
func (p Path) String() string { return string(p) }

// Empty reports whether p addresses nothing.
func (p Path) Empty() bool { return p == "" }

// Name returns the path as a Name; false when it has several segments or is the wildcard.
func (p Path) Name() (Name, bool) {
	name, err := ParseName(string(p))
	return name, err == nil
}

// Join returns the path of the workspace called name below p.
func (p Path) Join(name string) Path {
	if p.Empty() {
		return Path(name)
	}
	return p + Separator + Path(name)
}

// Split returns the path of the parent and the last segment; the parent is empty when p has one segment only.
func (p Path) Split() (parent Path, name string) {
	if Name(p).IsSystem() {
		return "", string(p)
	}
	i := strings.LastIndex(string(p), Separator)
	if i < 0 {
		return "", string(p)
	}
	return p[:i], string(p[i+1:])
}

// Segments returns the parts of p from the top down; one for a system cluster.
func (p Path) Segments() []string {
	if Name(p).IsSystem() {
		return []string{string(p)}
	}
	return strings.Split(string(p), Separator)
}

// Tenant returns the branch of the tree, directly below its root, that the workspace at p is in. Its workspaces share what one tenant may have of a
// server.
func (p Path) Tenant() Path {
	segments := p.Segments()
	return Path(strings.Join(segments[:min(2, len(segments))], Separator))
}
