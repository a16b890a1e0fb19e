// Package partitioning says which Partitions a PartitionSet consists of. It is pure: it reads nothing, and the same set and shards always
// give the same Partitions.
package partitioning
