// Package apiservice registers API groups with the host cluster, so that its API server forwards their requests here.
//
// A person, or the chart, creates one APIService, the anchor, which names the Service. A [Registrar] updates the caBundle of
// the anchor. It registers every other group version like the anchor: with the same Service, the same caBundle, and an owner reference
// to the anchor. So the host's garbage collector deletes all of them after the anchor is deleted, and also an APIService that is
// created again in that moment, because its owner no longer exists. While there is no anchor, or it is being deleted, nothing is
// registered.
//
// A Registrar never changes an APIService that it did not create. It recognizes its own by our label and by the reference to the
// anchor's UID. Every other APIService with a wanted name is a conflict: it belongs to another server, or to the host itself, for
// example for a CustomResourceDefinition.
//
// The client here is the host's, not that of workspaces; there is one Registrar for a server, not one for each workspace.
package apiservice
