// Package tenancy is the REST storage of tenancy.kcp.io: workspaces and workspacetypes, each with its status, and
// workspaceauthenticationconfigurations. In root it also serves the home workspace of whoever asks (home.go).
//
// A Workspace is stored without spec.URL; the address is made up on read from the address of the server and the canonical
// path of the cluster that holds the Workspace. Only a mounted Workspace is stored with it: there it is the address of the target. Every Workspace is created with the finalizer that keeps it until its
// logical cluster is gone, and carries its phase, and its unfinished initializers and terminators, as labels.
//
// Nothing of the status of a WorkspaceType is stored. It shows the addresses of the two virtual workspaces of the type
// (server/virtual/lifecycle), which follow from its cluster and its name.
//
// What users may ask for is decided in server/admission, what is well formed in apis/tenancy/validation.
package tenancy
