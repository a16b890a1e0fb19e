package apiexport

import "github.com/annex-dev/annex/server/virtual"

// Parse implements virtual.Workspace. below is for example 2f8kq1z0c7a9x3bd/widgets/clusters/*/apis/example.com/v1/widgets: the
// cluster of the export, the export, and the consumer.
func (*Endpoint) Parse(below string) (virtual.Request, error) {
	return virtual.ParseEndpoint(below, "an APIExport")
}
