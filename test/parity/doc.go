// Package parity compares a workspace with a stock kube-apiserver: it sends the same requests to both and lays the answers side by side.
//
// What is sent is in corpus/, as YAML that a person can read: requests in corpus/*.yaml, command lines of kubectl in corpus/kubectl.
// [LoadCases] expands it into cases. A case is a list of [Step]; each is sent to both servers, in a namespace of the case's own that has
// the same name on both. [Side] sends it, normalize.go removes what differs between any two servers, and [Compare] finds
// everything else: status code, headers, body, watch events.
//
// A difference fails the test unless differences.yaml names it and says why it is there. A listed difference that is gone fails the test
// too, so the list can only shrink. docs/parity.md is that list for readers; the test that compares the two writes it with -update.
//
// The stock server is built from upstream/, at the release of the libraries that Annex is made of. Only tests import this package.
package parity
