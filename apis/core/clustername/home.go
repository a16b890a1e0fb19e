package clustername

import (
	"crypto/sha256"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// users is the first segment of the canonical paths of home clusters.
const users = "user"

// Home returns the name of the home cluster of a user, for example v1u4alow0iv9 for alice.
func Home(username string) logicalcluster.Name {
	sum := sha256.Sum224([]byte(username))
	return logicalcluster.Name(base36(sum[:homeBytes]))
}

// HomePath returns the canonical path of the home cluster of a user, for example user:alice. If the name of the user is not a segment of a
// path, it is the name of the cluster: user:a:b would be the workspace b in the home of a.
func HomePath(username string) logicalcluster.Path {
	path := logicalcluster.Path(users).Join(username)
	if _, err := logicalcluster.ParsePath(path.String()); err != nil || len(path.Segments()) != 2 {
		return Home(username).Path()
	}
	return path
}

// InHome splits a path at or below that of a home cluster, for example user:alice:team, into the canonical path of the home, its cluster,
// and the segments below; false if the path is another one.
func InHome(path logicalcluster.Path) (home logicalcluster.Path, cluster logicalcluster.Name, below []string, ok bool) {
	segments := path.Segments()
	if len(segments) < 2 || segments[0] != users {
		return "", "", nil, false
	}
	username := segments[1]
	return logicalcluster.Path(users).Join(username), Home(username), segments[2:], true
}
