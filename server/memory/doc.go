// Package memory divides the memory of the process among what it keeps and could make again, and shows on /metrics how much of it is used.
// Each cache is bounded in bytes by itself (registry/lru, registry/view).
//
// Watch caches are no part of it: they hold what is in etcd, all of it.
package memory
