// Package partitionset makes the Partitions of PartitionSets: one for each combination of values that shards have for the dimensions of the set
// (package apis/topology/partitioning). A Partition that the set no longer consists of is deleted, and one that somebody has changed is made
// again. Those of a set that is gone are left to garbage collection.
//
// All of Annex is one shard to its clients, so a set has one Partition, or none.
package partitionset
