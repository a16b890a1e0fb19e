// Package lent shows custom resources of one cluster to a request of another cluster, as if they were its own: read-only, and without what
// they say of other objects of their cluster. Nothing is copied or stored for that. Who may read which objects is decided before: see
// server/virtual/replication.
//
// Only registry/storage imports it.
package lent
