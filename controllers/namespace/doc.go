// Package namespace has the two controllers of namespaces, each for all logical clusters.
//
// One empties terminating namespaces (deletion.go): it deletes what they hold, says in conditions what is in the way, and
// takes the kubernetes finalizer away when nothing is left, with which the namespace goes.
//
// The other keeps what every active namespace holds (contents.go): the ServiceAccount default, and the ConfigMap
// kube-root-ca.crt by which clients inside verify the server. Whoever creates a namespace may create both along with it, from
// [DefaultServiceAccount] and [RootCA]; then the controller finds nothing to do.
package namespace
