// Package queue is the queue of a controller that works on many clusters: clusters take turns, so one that changes its objects all the time
// delays the others by one key each.
//
// Only the order of the keys differs from the queue of Kubernetes: a key is in the queue once, is not given to two workers at once, and waits
// longer after each error. Metrics have the name of the queue and no cluster.
package queue
