package replication

import "github.com/annex-dev/annex/server/virtual"

// Parse implements virtual.Workspace. below is for example 2f8kq1z0c7a9x3bd/flavors/clusters/8d1m3q7k2v5n9x4c/apis/example.com/v1/flavors: the
// cluster of the slice, the slice, and the consumer.
func (*Endpoint) Parse(below string) (virtual.Request, error) {
	return virtual.ParseEndpoint(below, "a ClusterCachedResourceEndpointSlice")
}
