// Package frontdoor is the first step of a request: it says which logical cluster the request is for.
//
// It stands outside the stock handler chain. It takes /clusters/<path or name> off the URL, resolves it, and puts the
// target into the context; every later step relies on that and on nothing else. It answers by itself only what must not
// depend on authentication, limits or storage: malformed addresses, and health.
//
//	/clusters/<path or name>/...        that cluster; unknown ones travel on and are refused by the authorizer
//	/clusters/*/...                     all clusters
//	/services/apiexport/<c>/<e>/clusters/<name or *>/...   a virtual endpoint, see server/virtual
//	/apis/tenancy.kcp.io/v1alpha1/workspaces/<path or child>/proxy/...   that cluster (host.go: with a host cluster only)
//	/apis/apis.kcp.io/v1alpha2/apiexports/<path>:<name>/proxy/clusters/<name or *>/...   a virtual endpoint
//	/apis/<group of ours>/<version>/<resource>...   the workspace that the host shows as its own
//	/apis/<group that a HostBinding projects>/<version>/...   the workspace that its namespace maps to, or several
//	/apis, /openapi, /apis/<group of ours>[/<version>]   answered here, from memory
//	everything else                     no target: health, version and metrics of the process
package frontdoor
