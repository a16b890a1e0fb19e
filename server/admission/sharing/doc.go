// Package sharing contains the admission rules for apis.kcp.io and cache.kcp.io: what may be exported, and who may bind it. It runs within step 6 of
// docs/request.md, before an object is stored.
//
// schemas/validation checks what depends on one object only. This package checks what depends on other objects:
//
//	apibindings              a creator needs verb bind on the export, in the export's cluster; label and finalizer are set
//	apiexportendpointslices  the same permission
//	hostbindings             the same, and verb project on the LogicalCluster that the path leads to (hostbinding.go)
//	clustercachedresources   a user needs get, list and watch on all objects that are shared, in the same workspace
//	clustercachedresourceendpointslices   verb bind on the export and on the ClusterCachedResource, which are in the same workspace
//	apiexports               schema names fit their resource, or the answer is Forbidden as in kcp. A schema that breaks the consumers of
//	                         another one does not replace it unless an annotation says so (evolution.go). With an APIExportRollout, consumers can
//	                         return from the schemas that it newly names (rollout.go)
//	apiexportrollouts        an author needs verb update on the export of the same name. One that holds consumers back cannot be deleted
//	apichangereports         a user needs list on apiexports/content; a workspace has few of them (report.go)
//	apistoragemigrations     a user needs update on apiexports/content, or on the status of the CustomResourceDefinition; a workspace has few of them
//	                         (migration.go)
//	apiconversions           the rules fit the APIResourceSchema of the same name; a warning names the fields that get lost. What an export
//	                         needs cannot be deleted
//	apiresourceschemas       groups that the server serves itself cannot be exported by others; what an export offers, or
//	                         consumers may return to, cannot be deleted
//	customresourcedefinitions   the same; one that is published needs the rights to write what is published (publish.go)
//
// A missing export, an unknown workspace and a missing permission give the same response, so that users cannot find out
// what exists.
// The server's own writes come as system:masters, who may bind whatever exists.
package sharing
