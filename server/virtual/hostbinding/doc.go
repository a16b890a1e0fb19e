// Package hostbinding serves what HostBindings project: the resources of an APIExport at the URLs that the host has for
// them, /apis/<group>/<version>/[namespaces/<namespace>/]<resource>..., without any prefix.
//
// The front door asks it where such a request goes, and it takes the place of the router for them (step 3 on the way of a
// request):
//
//	follow.go      the set of projections, made anew in memory whenever a HostBinding, export or schema changes
//	projection.go  one projection: its resources, and the mapping from namespaces to workspaces
//	route.go       which projection a URL is for, and which workspace
//	serve.go       requests for one workspace, served as it serves them itself; and those for one that is not there
//	many.go        lists and watches over several workspaces: all consumers of the export, narrowed to what is mapped
//	make.go        workspaces made on demand
//	watches.go     the watches that end when what they are on changes
//
// What keeps a request from showing anything else:
//
//	authorization  the host allows it, and the workspace unless the HostBinding says otherwise: server/authorization,
//	               which is asked again here for each workspace of a request for several
//	identity       the resource of the workspace must be bound from this very export; in lists over several workspaces the
//	               identity hash is the bucket in which storage looks
//	mapping        an object is shown if its namespace maps to its workspace
//
// Discovery and OpenAPI documents of everything that the host forwards are made here, too: they need nothing but memory.
package hostbinding
