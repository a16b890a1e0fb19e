// Package hostbinding tests what HostBindings project onto a real host: kube-apiserver with its controllers, and Annex
// installed by one APIService, used with plain kubectl by users of the host.
package hostbinding
