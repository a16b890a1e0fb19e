package group

import "strings"

// services begins the paths of virtual workspaces.
const services = "/services/"

// EndpointPath returns the path of the virtual endpoint at url, from its first /services/ on, or all of url if it has none. That is what is
// stored of an endpoint: the address before it depends on who reads it, and clients send back what they read.
func EndpointPath(url string) string {
	if i := strings.Index(url, services); i >= 0 {
		return url[i:]
	}
	return url
}
