// Package frontdoor is step 1 of docs/request.md: it says which logical cluster a request is for.
//
// It stands outside the stock handler chain. It takes /clusters/<path or name> off the URL, resolves it, and puts the
// target into the context; every later step relies on that and on nothing else. It answers by itself only what must not
// depend on authentication, limits or storage: malformed addresses, and health.
//
//	/clusters/<path or name>/...        that cluster; unknown ones travel on and are refused by the authorizer
//	/clusters/<path of a mount>/...     the endpoint of a mounted Workspace, which has no cluster, in the cluster that it is in
//	/clusters/*/...                     all clusters
//	/services/<virtual workspace>/...   an endpoint of it, and its target: it reads the rest itself, see server/virtual
//	everything else with a token of a ServiceAccount   the cluster of the ServiceAccount
//	/apis/tenancy.kcp.io/v1alpha1/workspaces/<path or child>/proxy/...   that cluster (host.go: with a host cluster only)
//	/apis/<group>/<version>/<resource>/<path>:<name>/proxy/...   the same, of an object that has an endpoint, such as an APIExport, or
//	                                    several, such as a WorkspaceType: then the segment behind /proxy says which
//	/apis/<group of ours>/<version>/<resource>...   the workspace that the host shows as its own
//	/apis/<group that a HostBinding projects>/<version>/...   the workspace that its namespace maps to, or several
//	/apis, /openapi, /apis/<group of ours>[/<version>]   answered here, from memory
//	everything else                     no target: health, version and metrics of the process
package frontdoor
