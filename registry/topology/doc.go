// Package topology is the REST storage of topology.kcp.io: partitions, and partitionsets with their status. The
// controller partitionset makes the Partitions of a PartitionSet; endpoint slices name Partitions.
package topology
