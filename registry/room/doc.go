// Package room says how much memory a request may still take for its answer. The server gives each request its room (server/fairness), and
// what makes large answers asks for it (registry/storage/custom): a list is decoded as a whole before the first byte of it is sent, and stays
// in memory until the client has taken all of it. Some are also encoded as a whole (whole.go), as the last mile says (server/serve).
//
// It also says when work on large schemas may be done: one piece at a time, after other work (large.go).
package room
