// Package apistatus holds what the server answers when it does not answer with an object: the statuses that several steps of a
// request share, and the rule by which an error becomes one.
//
// The stock handlers look at the outermost error only. An error that says what was being done, wrapped around the status of
// storage, becomes 500, which clients take for a defect and give up on. While etcd elects a leader, or cannot be reached, every
// read on the way of a request fails like that: what a workspace serves, who may do what, admission. [Of] finds the status that
// asks the client to try again (429, 503, 504) wherever it is in the chain of errors. In the same way [WithBody] answers with 400 if the
// client sends a body that cannot be read, and [WithOutside] with a sentence where clients show none that is in a Status.
package apistatus
