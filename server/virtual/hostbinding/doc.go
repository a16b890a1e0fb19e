// Package hostbinding serves what HostBindings project: the resources of an APIExport at the URLs that the host has for
// them, /apis/<group>/<version>/[namespaces/<namespace>/]<resource>..., without any prefix.
//
// It is a virtual.Workspace without a URL below /services/. The front door asks it where such a request goes (step 1 of
// docs/request.md); then it decides as an authorizer (step 2), and says what is served in the place of the router (step 4):
//
//	follow.go      the set of projections, made anew in memory whenever a HostBinding, export or schema changes
//	projection.go  one projection: its resources, and the mapping from namespaces to workspaces
//	route.go       which projection a URL is for, and which workspace
//	authorize.go   whom the host, and the workspace, let in
//	serve.go       requests for one workspace, served as it serves them itself; and those for one that is not there
//	many.go        lists and watches over several workspaces: all consumers of the export, narrowed to what is mapped
//	make.go        workspaces made on demand
//
// What keeps a request from showing anything else:
//
//	authorization  the host allows it, and the workspace unless the HostBinding says otherwise: server/authorization,
//	               which is asked again here for each workspace of a request for several
//	identity       the resource of the workspace must be bound from this very export; in lists over several workspaces the
//	               identity hash is the bucket in which storage looks
//	mapping        an object is shown if its namespace maps to its workspace
//
// What discovery shows of everything that the host forwards is kept here, too: it needs nothing but memory.
package hostbinding
