package kubeconfig

import (
	"fmt"
	"net/url"
	"regexp"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// door is a route to workspaces: through a host, or at Annex's own endpoint.
type door struct {
	// base is the URL before the path that names a workspace, without a slash at its end.
	base string
	// host is true if the route leads through the API server of a host cluster.
	host bool
	// here is the workspace in the URL that the door was parsed from: an absolute path, or the name of a child of the host
	// workspace. It is empty if the URL names no workspace.
	here string
}

const (
	workspaces = "/apis/tenancy.kcp.io/v1alpha1/workspaces/"
	exports    = "/apis/apis.kcp.io/v1alpha2/apiexports/"
)

var (
	hostPath  = regexp.MustCompile(`^(.*)/apis/tenancy\.kcp\.io/v1alpha1/workspaces/([^/]+)/proxy/?$`)
	otherPath = regexp.MustCompile(`^(.*)/apis/(?:apis\.kcp\.io/v1alpha[12]/apiexports|tenancy\.kcp\.io/v1alpha1/workspacetypes)/[^/]+/proxy(/.*)?$`)
	ownPath   = regexp.MustCompile(`^(.*)/clusters/([^/]+)/?$`)
	virtual   = regexp.MustCompile(`^(.*)/services/(?:apiexport/[^/]+|initializingworkspaces|terminatingworkspaces|apiresourceschema)/[^/]+(/.*)?$`)
)

// parseDoor parses the URL of a server. found is false if the URL has none of our paths; it may then lead to a host or to Annex's
// own endpoint. If one of our paths follows another path, only the paths of a host are certain, because other servers also serve
// /clusters/.
func parseDoor(server string) (d door, found bool, err error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return door{}, false, fmt.Errorf("the server %q is not a URL such as https://annex.example.com:6443", server)
	}
	path := u.Path
	for _, pattern := range []struct {
		*regexp.Regexp
		host, names bool
	}{{hostPath, true, true}, {otherPath, true, false}, {virtual, false, false}, {ownPath, false, true}} {
		match := pattern.FindStringSubmatch(path)
		if match == nil {
			continue
		}
		d.host, path, found = pattern.host, match[1], true
		if pattern.names && match[2] != logicalcluster.Wildcard.String() {
			d.here = match[2]
		}
		break
	}
	base := url.URL{Scheme: u.Scheme, Host: u.Host, Path: path}
	for d.base = base.String(); len(d.base) > 0 && d.base[len(d.base)-1] == '/'; {
		d.base = d.base[:len(d.base)-1]
	}
	return d, found, nil
}

// workspaceURL returns the URL of a workspace.
func (d door) workspaceURL(path logicalcluster.Path) string {
	if d.host {
		return d.base + workspaces + path.String() + "/proxy"
	}
	return d.base + "/clusters/" + path.String()
}

// exportURL returns the URL of the endpoint of an APIExport, for all its consumers. cluster is the name of the logical cluster of
// the export. The URL at Annex's own endpoint contains only that name, and the URL on a host contains only the path.
func (d door) exportURL(t Target, cluster logicalcluster.Name) string {
	if d.host {
		return d.base + exports + t.exportName() + "/proxy/clusters/*"
	}
	return d.base + "/services/apiexport/" + cluster.String() + "/" + t.Export + "/clusters/*"
}

// inside returns the URL of the workspace that the door was parsed from. At Annex's own endpoint without a path, it is root.
func (d door) inside() string {
	switch {
	case d.here != "":
		return d.workspaceURL(logicalcluster.Path(d.here))
	case d.host:
		return d.base
	}
	return d.workspaceURL(logicalcluster.Root.Path())
}
