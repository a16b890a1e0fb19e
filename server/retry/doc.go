// Package retry sees to it that a fault of storage reaches the client as what it is: something to try again (429, 503, 504).
//
// The stock handlers look at the outermost error only. One that says what was being done, wrapped around the status of storage,
// becomes 500, which clients take for a defect and give up on. While etcd elects a leader, or cannot be reached, every look at
// it on the way of a request - what a workspace serves, who may do what, admission - fails so.
package retry
