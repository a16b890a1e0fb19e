// Package namespace has the two controllers of namespaces, each for all logical clusters.
//
// One deletes the content of terminating namespaces (deletion.go). It reports obstacles in conditions. When nothing is left, it removes
// the kubernetes finalizer, and this deletes the namespace.
//
// The other maintains the objects that every active namespace has (contents.go): the ServiceAccount default, and the ConfigMap
// kube-root-ca.crt, which clients in the workspace verify the server with. Code that creates a namespace may create both at the same
// time, from [DefaultServiceAccount] and [RootCA]. The controller then has nothing to do.
package namespace
