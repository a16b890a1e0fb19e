// Package cachekcp is the REST storage of cache.kcp.io: ClusterCachedResources with their status, and the endpoint slices to which APIExports
// refer. Who serves the objects that they are about is server/virtual/replication.
package cachekcp
