// Package annextest runs an Annex server for the tests of an operator, in the way in which envtest of controller-runtime runs a kube-apiserver:
//
//	server := annextest.Start(t)                                          // server.go
//	provider := server.Workspace(t, "root:provider")                      // workspace.go
//	provider.Apply(t, "../config")                                        // apply.go
//	consumer := server.Workspace(t, "root:consumer")
//	consumer.Bind(t, provider, "widgets", annextest.Reject("", "secrets")) // bind.go
//	alice := consumer.User(t, "alice", "edit")                            // user.go
//
// The server is the program annex, a process of its own with an etcd inside. It is looked up in the directory that the environment variable
// ANNEX_ASSETS names, or else in PATH; see [Binary]. It keeps its data in a temporary directory, listens on a free port of the loopback
// interface, and ends with the test. Everything that a method made can be used when the method returns; what cannot be made fails the test.
//
// Import it from tests only.
package annextest
