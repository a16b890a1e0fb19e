// Package ledger is the memory of one client while servers come and go: what it tried to write and what it was told became of it. What
// reads and a watch show is held against that: nothing acknowledged is lost, nothing is shown that nobody wrote, and a watch shows every
// acknowledged change once and in order.
//
// A write without an answer is open: it may be done, or be done later, or never.
package ledger
