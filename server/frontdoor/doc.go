// Package frontdoor is the first step of a request: it says which logical cluster the request is for.
//
// It stands outside the stock handler chain. It takes /clusters/<path or name> off the URL, resolves it, and puts the
// target into the context; every later step relies on that and on nothing else. It answers by itself only what must not
// depend on authentication, limits or storage: malformed addresses, and health.
//
//	/clusters/<path or name>/...        that cluster; unknown ones travel on and are refused by the authorizer
//	/clusters/*/...                     all clusters
//	/services/apiexport/<c>/<e>/clusters/<name or *>/...   a virtual endpoint, see server/virtual
//	everything else                     no target: health, version and metrics of the process
package frontdoor
