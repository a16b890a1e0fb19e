// Package cachedresource is the controller of ClusterCachedResources. It creates and verifies the identity, says whether objects of the
// resource can be shared, and removes the finalizer in the end. It copies nothing: server/virtual/replication reads the objects where they
// are, and decides for itself what may be read.
package cachedresource
