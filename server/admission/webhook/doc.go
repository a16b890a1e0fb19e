// Package webhook calls the admission webhooks of a workspace: step 6 of docs/request.md. It has two plugins, [Plugins.Mutating] and
// [Plugins.Validating], around those of k8s.io/apiserver, which decide what is called, when and how.
//
// The configurations of a workspace are compiled when it is written to, and kept in a view (registry/view). A workspace without any costs
// one look into a map. There is one stock plugin of each kind for all workspaces. It asks its source for webhooks without saying for which
// request, so they are handed over under a lock for that moment (see handover), each wrapped so that it sees the workspace of the request
// only (see hook).
//
// A webhook is a request that a tenant makes the server send: server/outbound makes it. While it waits, the request keeps the seat of its
// tenant (server/fairness). The server's own writes have no seat; see own.
package webhook
