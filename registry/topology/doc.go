// Package topology is the REST storage of topology.kcp.io: partitions, and partitionsets with their status. They are stored
// and validated; with a single shard nothing acts on them yet.
package topology
