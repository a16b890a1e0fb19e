// Package rendered makes objects that nobody has touched appear without being stored. A logical cluster is made from a [Template]: what
// every such cluster contains from the beginning. Its LogicalCluster names the template in the annotation [Annotation], and
// from that everything else follows:
//
//	nothing at its key              the object is rendered: its UID follows from that of the LogicalCluster, whose creation time and
//	                                resourceVersion it has
//	an object at its key            somebody has written it: it is stored like any other
//	a tombstone at its key          somebody has deleted it
//	no LogicalCluster               there is nothing
//
// So the first write of a rendered object stores that object only, in one revision, and the transaction compares the LogicalCluster, on
// which the rest depends. A deleted one leaves a tombstone as long as the LogicalCluster is there.
//
// Stock stores see none of that. A [Client] is what they read and write through, and [Client.Expand] does the same to the events that
// they watch: the objects appear in the revision that creates their LogicalCluster, and are deleted in the one that deletes it. What
// they see is what a server that stores everything shows, except that several objects have the same resourceVersion. So a watch that ends
// inside of such a revision gets its events again when it resumes ([Client.Again]).
//
// Only registry/storage imports it.
package rendered
