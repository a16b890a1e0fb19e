package address

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Kind says how to find the workspace that a user named.
type Kind int

// The kinds of addresses.
const (
	// Absolute is the workspace at Target.Path.
	Absolute Kind = iota
	// Here is the workspace that the context is in.
	Here
	// Back is the workspace that the context was in before.
	Back
	// Top is the workspace at Target.Path: the first one of the path of the current workspace.
	Top
	// Home is the home workspace of the user, or the one at Target.Below in it.
	Home
)

// Target is the workspace that a user named.
type Target struct {
	Kind Kind
	// Path is the absolute path, for Absolute and Top.
	Path logicalcluster.Path
	// Below are the names of the workspaces on the way from the home workspace to the target, for Home.
	Below []string
	// Legacy is true for root:org instead of :root:org.
	Legacy bool
}

// Origin is where relative addresses begin.
type Origin struct {
	// URL is the server of the current context.
	URL string
	// Path is the workspace in that URL; empty if it does not lead to a workspace.
	Path logicalcluster.Path
	// HomeDirectory is what a shell puts in the place of ~.
	HomeDirectory string
}

var (
	errInvalid  = errors.New("invalid workspace path")
	errFromRoot = errors.New("cannot go up from root")
)

// Parse returns the target for what a user typed, for example ..:team-b. The error is the one to show.
func Parse(arg string, from Origin) (Target, error) {
	switch arg {
	case "":
		return Target{}, fmt.Errorf("%w: %s", errInvalid, arg)
	case ".":
		return Target{Kind: Here}, nil
	case "-":
		return Target{Kind: Back}, nil
	}
	if rest, isHome := underHome(arg, from.HomeDirectory); isHome {
		below, err := walk(nil, rest, false)
		if err != nil {
			return Target{}, fmt.Errorf("%w: %s", errInvalid, arg)
		}
		return Target{Kind: Home, Below: below}, nil
	}
	typed := strings.ReplaceAll(arg, "/", logicalcluster.Separator)
	if typed == logicalcluster.Separator {
		if from.Path.Empty() {
			return Target{}, opaque(from.URL)
		}
		return Target{Kind: Top, Path: logicalcluster.Path(from.Path.Segments()[0])}, nil
	}
	target := Target{Kind: Absolute}
	rest, absolute := strings.CutPrefix(typed, logicalcluster.Separator)
	if root := logicalcluster.Root.String(); typed == root || strings.HasPrefix(typed, root+logicalcluster.Separator) {
		absolute, target.Legacy = true, true
	}
	var begin []string
	if !absolute {
		if from.Path.Empty() {
			return Target{}, opaque(from.URL)
		}
		begin = from.Path.Segments()
	}
	segments, err := walk(begin, rest, true)
	if errors.Is(err, errFromRoot) {
		return Target{}, err
	}
	if err == nil {
		target.Path, err = logicalcluster.ParsePath(strings.Join(segments, logicalcluster.Separator))
	}
	if err != nil || target.Path == logicalcluster.Wildcard {
		return Target{}, fmt.Errorf("%w: %s%s", errInvalid, arg, meant(arg))
	}
	return target, nil
}

// meant returns the end of the message about a malformed path: the path that it may stand for, or what paths look like.
func meant(arg string) string {
	names := strings.FieldsFunc(strings.ToLower(arg), func(r rune) bool { return r == ':' || r == '/' })
	if slices.Contains(names, "..") {
		return "" // it goes up too far
	}
	path, root := strings.Join(names, logicalcluster.Separator), logicalcluster.Root.String()
	if _, err := logicalcluster.ParsePath(root + logicalcluster.Separator + path); err != nil {
		return "; a path is names of lower-case letters, digits and '-', with ':' or '/' between them"
	}
	if arg[0] == ':' || arg[0] == '/' || names[0] == root {
		path = logicalcluster.Separator + path
	}
	return fmt.Sprintf("; did you mean %q?", path)
}

// underHome returns what follows ~, or the home directory that a shell has put in its place.
func underHome(arg, directory string) (rest string, ok bool) {
	homes := []string{"~"}
	if directory = strings.TrimRight(directory, "/"); directory != "" {
		homes = append(homes, directory)
	}
	for _, home := range homes {
		rest, found := strings.CutPrefix(arg, home)
		if found && (rest == "" || rest[0] == '/' || rest[0] == ':') {
			return strings.TrimPrefix(strings.ReplaceAll(rest, "/", logicalcluster.Separator), logicalcluster.Separator), true
		}
	}
	return "", false
}

// walk follows steps from the workspace at segments. Each step is a name, . or .. (if up is true).
func walk(segments []string, steps string, up bool) ([]string, error) {
	if steps == "" {
		return segments, nil
	}
	segments = append([]string(nil), segments...)
	for step := range strings.SplitSeq(steps, logicalcluster.Separator) {
		switch {
		case step == ".":
		case step == ".." && !up:
			return nil, errInvalid
		case step == "..":
			if len(segments) == 1 && segments[0] == logicalcluster.Root.String() {
				return nil, errFromRoot
			}
			if len(segments) < 2 {
				return nil, errInvalid
			}
			segments = segments[:len(segments)-1]
		case step == "":
			return nil, errInvalid
		default:
			segments = append(segments, step)
		}
	}
	return segments, nil
}

// opaque is the error for an address that is relative to a URL which does not lead to a workspace.
func opaque(url string) error {
	return fmt.Errorf("current URL %q does not point to a workspace", url)
}
