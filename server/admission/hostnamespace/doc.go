// Package hostnamespace is the admission plugin that ties objects in the host workspace to namespaces of the host. It concerns the kinds for
// which the table of kinds says so, such as WorkspaceAccess. Users write them on the host, with kubectl apply -n team-a, so their
// namespace is the namespace of the host. In every other workspace, the plugin does nothing for them.
//
//   - Only who comes through the host may create or change such an object in the host workspace, and the server itself. RBAC of the host has
//     then decided about that very namespace. Annex's own endpoint, and the proxy URL of the host workspace, are no way around it.
//   - The namespace must exist on the host, and must not be terminating. The host is asked for every creation.
//   - The object is stored in the Namespace of the same name in the host workspace, so storage and deletion work as for any object. If
//     there is none, the plugin creates it, with the label annex.dev/host-namespace. controllers/hostnamespace deletes it when the namespace
//     of the host is gone.
//   - The annotation annex.dev/host-namespace-uid says to which namespace of the host the object belongs. Only the plugin writes it. A later
//     namespace of the same name is not the namespace of the object: its controller then deletes the object.
//
// A namespace of the host that is deleted takes the objects with it: the host's namespace controller deletes what discovery shows.
//
// The plugin wraps server/admission/namespacelifecycle, because a Namespace must be created before that plugin looks for it.
package hostnamespace
