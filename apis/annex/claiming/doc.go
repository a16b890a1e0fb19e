// Package claiming says which workspace belongs to a WorkspaceClaim, and what a WorkspaceClass permits.
//
// A [Ref] is the identity of a claim: its class, its name, its namespace with the UID that the host gave it, and the user who created it.
// It is written into the Workspace that is created for the claim. A workspace belongs to a claim only if the two are equal. So a
// namespace that has the name of a deleted one gets no workspace of the other, and neither does another user.
//
// It is used by server/admission/workspaceclaim and controllers/workspaceclaim, and imports only types.
package claiming
