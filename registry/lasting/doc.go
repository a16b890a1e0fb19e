// Package lasting gives the stock handlers of writes a context that lasts as long as their work.
//
// A stock handler runs a write in a goroutine of its own (k8s.io/apiserver/pkg/endpoints/handlers/finisher) and returns as soon as
// the context of the request ends: when the client has left, or the time is up. The goroutine continues, and admission and
// validation do not look at contexts. Whoever counts what is under way, such as server/fairness, would not see that work.
//
// So a write has two contexts. [Context] is for the handler: it never ends, so the handler returns when its work has ended. [Ending]
// gives the other one, which ends with the request, to what waits: storage, admission, a look at etcd. What neither waits nor starts
// anything passes on the context that it has.
package lasting
