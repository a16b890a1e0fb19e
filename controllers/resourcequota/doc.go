// Package resourcequota writes the status of ResourceQuotas: what they limit, and how many objects there are. Storage counts and refuses by
// itself, in the transaction of each write, and never reads a status, so nothing depends on how soon this controller comes. It
// looks at a namespace when one of its quotas changes, and when a count does, which storage tells: it watches nothing else, and has
// nothing to do where there is no quota. What storage counts it also checks against what is there.
package resourcequota
