// Package admission lists the admission plugins of the server in the order in which they run; see [New].
//
// Every plugin finds the logical cluster of the request in the context and reads through client.Reader. None stores anything
// per workspace. A plugin that reads another cluster than that of the request checks RBAC of that cluster itself (bind, use). So a
// user can use what another workspace offers without permission to enter it.
//
// Writes of the server itself pass all of them, as user system:apiserver of group system:masters. Rules that restrict users
// make an exception for that group. Rules that keep objects well formed do not.
package admission
