// Package lru keeps values in memory, bounded in bytes. Everything that the server keeps and can make again is in a [Cache] of its own or
// in a view (registry/view), and /metrics shows the bytes of each (server/memory).
//
// A value has an owner, the workspace that it is kept for. One owner has at most a quarter of a cache, so a workspace that makes new values
// in a loop evicts its own. What is kept for a workspace is dropped when the workspace is gone.
package lru
