package door

import (
	"fmt"
	"net/url"
	"regexp"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Door is a route to workspaces: through a host, or at Annex's own endpoint.
type Door struct {
	// Base is the URL before the path that names a workspace, without a slash at its end.
	Base string
	// Host is true if the route leads through the API server of a host cluster.
	Host bool
	// Here is the workspace in the URL that the door was parsed from: an absolute path, or the name of a child of the host
	// workspace. It is empty if the URL names no workspace.
	Here string
}

// Paths of the objects whose subresource proxy leads somewhere, through a host.
const (
	Workspaces = "/apis/tenancy.kcp.io/v1alpha1/workspaces/"
	Exports    = "/apis/apis.kcp.io/v1alpha2/apiexports/"
)

var (
	hostPath  = regexp.MustCompile(`^(.*)/apis/tenancy\.kcp\.io/v1alpha1/workspaces/([^/]+)/proxy/?$`)
	otherPath = regexp.MustCompile(`^(.*)/apis/(?:apis\.kcp\.io/v1alpha[12]/apiexports|tenancy\.kcp\.io/v1alpha1/workspacetypes)/[^/]+/proxy(/.*)?$`)
	ownPath   = regexp.MustCompile(`^(.*)/clusters/([^/]+)/?$`)
	virtual   = regexp.MustCompile(`^(.*)/services/(?:apiexport/[^/]+|initializingworkspaces|terminatingworkspaces|apiresourceschema)/[^/]+(/.*)?$`)
)

// Parse parses the URL of a server. found is false if the URL has none of our paths; it may then lead to a host or to Annex's
// own endpoint. If one of our paths follows another path, only the paths of a host are certain, because other servers also serve
// /clusters/.
func Parse(server string) (d Door, found bool, err error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return Door{}, false, fmt.Errorf("the server %q is not a URL such as https://annex.example.com:6443", server)
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
		d.Host, path, found = pattern.host, match[1], true
		if pattern.names && match[2] != logicalcluster.Wildcard.String() {
			d.Here = match[2]
		}
		break
	}
	base := url.URL{Scheme: u.Scheme, Host: u.Host, Path: path}
	for d.Base = base.String(); len(d.Base) > 0 && d.Base[len(d.Base)-1] == '/'; {
		d.Base = d.Base[:len(d.Base)-1]
	}
	return d, found, nil
}

// WorkspaceURL returns the URL of a workspace.
func (d Door) WorkspaceURL(path logicalcluster.Path) string {
	if d.Host {
		return d.Base + Workspaces + path.String() + "/proxy"
	}
	return d.Base + "/clusters/" + path.String()
}

// ExportURL returns the URL of the endpoint of an APIExport, for all its consumers. The URL on a host contains only qualified, the
// name with the path of its workspace, such as root:provider:widgets. The URL at Annex's own endpoint contains only the name of
// the logical cluster of the export, and its name.
func (d Door) ExportURL(qualified string, cluster logicalcluster.Name, name string) string {
	if d.Host {
		return d.Base + Exports + qualified + "/proxy/clusters/*"
	}
	return d.Base + "/services/apiexport/" + cluster.String() + "/" + name + "/clusters/*"
}

// Inside returns the URL of the workspace that the door was parsed from. At Annex's own endpoint without a path, it is root.
func (d Door) Inside() string {
	switch {
	case d.Here != "":
		return d.WorkspaceURL(logicalcluster.Path(d.Here))
	case d.Host:
		return d.Base
	}
	return d.WorkspaceURL(logicalcluster.Root.Path())
}
