// Package apiservice registers API groups with the host cluster, so that its API server forwards their requests here.
//
// A person, or the chart, creates one APIService, the anchor, which names the Service. A [Registrar] keeps the caBundle of the
// anchor right, and registers every other group version after its likeness: same Service, same caBundle, and an owner reference
// to the anchor. So the host's garbage collector takes them all when the anchor goes, and one that was re-created in that moment
// refers to an owner that is gone. While there is no anchor, or it is being deleted, nothing is registered.
//
// What a Registrar did not make it never changes: an APIService belongs to it when it carries our label and refers to the anchor
// by UID. Everything else of a wanted name is a conflict, be it somebody else's server or the host's own, such as that of a
// CustomResourceDefinition.
//
// The client here is the host's, not that of workspaces; there is one Registrar for a server, not one for each workspace.
package apiservice
