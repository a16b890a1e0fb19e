// Package workspaceaccess is the controller of WorkspaceAccesses: it keeps Secrets with credentials for workspaces.
//
//	controller.go  one step for one WorkspaceAccess, and when the next one is due
//	target.go      the workspace that it is for: the one for which admission has checked the permissions of the author, and no other
//	grant.go       the ServiceAccount in the namespace kube-system of the workspace, and its ClusterRoleBinding
//	secret.go      the Secret: when it is written, whose it is, and its end, when everything that was made is deleted
//	content.go     what is in the Secret in each format
//	place.go       where the Secret is: in a namespace of the host, or in the workspace of the WorkspaceAccess
//
// What was made has the UID of the WorkspaceAccess in its name or in a label. Nothing else is changed or deleted: a Secret of the same name that
// is not marked is a conflict.
//
// Whoever administers the workspace has the last word. If they delete the ServiceAccount or the binding, the access is revoked: the
// Secret is deleted, and nothing is made again until an author with the necessary permissions changes the spec or creates the object anew.
//
// Tokens are renewed after half of their life. The controller looks at every Secret every few minutes, because it does not watch Secrets of the
// host. It needs no permission to list them.
package workspaceaccess
