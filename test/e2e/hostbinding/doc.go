// Package hostbinding tests what HostBindings project onto a real host, and which Secrets WorkspaceAccesses keep there: kube-apiserver with its
// controllers, and Annex installed by one APIService, used with plain kubectl by users of the host.
package hostbinding
