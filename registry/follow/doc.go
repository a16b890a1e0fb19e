// Package follow keeps whoever reads a watch cache up to date: it lists, watches on from there, and starts over by itself. It
// is how [client.Reader.Watch] works inside the server, for typed objects and for heads alike.
//
// [Run] promises what client.EventType says: Reset, an Added for each object that exists, Synced, and then changes, without a
// gap. A watch that ends goes on from where it was; when its history is gone it begins again with Reset, which comes before each
// attempt to list: from then until Synced, what was delivered earlier may be out of date. Nothing is kept but a resourceVersion.
// [All] watches several resources that end together, for an index that needs all of them. [Together] reads once what several list at the
// same time.
//
// It is no step of a request. registry and server may import it.
package follow
