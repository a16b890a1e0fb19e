// Package admission lists the admission plugins of the server in the order in which they run; see [New].
//
// Every plugin finds the logical cluster of the request in the context and reads through client.Reader. None keeps anything
// per workspace. A plugin that looks into another cluster than that of the request asks RBAC there by itself (bind, use):
// that is how somebody may use what another workspace offers without being let into it.
//
// Writes of the server itself pass all of them, as user system:apiserver of group system:masters. Rules that restrict users
// make an exception for that group. Rules that keep objects well formed do not.
package admission
