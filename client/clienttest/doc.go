// Package clienttest offers a [client.Client] and a [client.Content] in memory, for the tests of controllers and of
// whatever else reads across clusters. It behaves like the server as far as controllers can tell: resourceVersions and
// conflicts, uids, generations, finalizers, deletion in two steps, and watches that never miss an event.
package clienttest
