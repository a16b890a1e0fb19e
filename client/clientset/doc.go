// Package clientset gives generated clientsets a cluster: Cluster(path) returns a stock clientset of one workspace, by its path or by the name of its
// logical cluster.
//
// [NewForConfig] has the clientset of Annex's own kinds. [For] wraps any clientset that client-gen generates, such as that of your own types (see the
// module codegen), or kubernetes.Interface. [Fakes] does the same with generated fakes, for tests.
//
//	clientset.go  one clientset for each cluster, over the same connections
//	fakes.go      one fake for each cluster
//
// Nothing is kept for a cluster, except by fakes. There is no clientset of all clusters, because stock informers and listers on it would mix up objects
// with equal names: use client/informer, whose Lister is typed, too.
package clientset
