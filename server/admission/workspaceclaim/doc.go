// Package workspaceclaim contains the admission rules for WorkspaceClaims and WorkspaceClasses.
//
// A WorkspaceClass lets users of the host create workspaces that they have no permission to create. So its author needs the permissions that
// the class gives away: to create workspaces in the parent, and to use each type. Only RBAC of workspaces counts. The plugin records the
// logical clusters in which it has checked them, because a path may lead elsewhere later.
//
// In a WorkspaceClaim, the plugin records the user who creates it, sets the default class and the type, and checks that the class permits what
// the claim asks for. server/admission/hostnamespace records the namespace. controllers/workspaceclaim trusts both records.
//
// All refusals are 403 with a message for users.
package workspaceclaim
