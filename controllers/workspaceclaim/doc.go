// Package workspaceclaim is the controller of WorkspaceClaims.
//
// One part gives a claim its workspace, and keeps the status of the claim and the WorkspaceAccess for its Secret. It creates the Workspace as
// the server, with the user of the claim as its owner, so that user needs no permission in the parent. The class is the permission: it was
// accepted for certain logical clusters (server/admission/workspaceclaim), and a path that leads elsewhere now is not followed. What is
// there already belongs to the claim only if its annotation says so, which only the server and its administrators write.
//
// The other part, the reclaimer, looks after workspaces whose claim is gone: deleted by a user, or together with the namespace on the host. It
// notes on the Workspace when to delete it, so that the clock survives restarts, and deletes it then. Both parts write with the
// resourceVersion that they have read, so a claim that is created again in the last moment either gets its workspace back or finds it
// terminating, and never loses a workspace that it was told it has.
//
// A claim needs no finalizer: whatever ends a claim, its Workspace names it and can be found. So Annex never holds up the deletion of a
// namespace of the host.
//
// The permissions of the owner last as long as the workspace, also while it is kept without a claim. The Secret is revoked with the claim.
package workspaceclaim
