// Package view keeps in memory what is compiled for one logical cluster from the objects stored in that cluster: what it
// serves, who may do what in it. It is no step of a request by itself: the authorizer (step 2 of docs/request.md) asks it through
// registry/rbac/policy, and the router (step 4) through registry/catalog.
//
// A package that needs such a value writes one function, [Config].Compile, and asks a [View] for the value:
//
//	indexes := view.New(view.Config[*index]{Reader: reader, Fresh: gate, Resources: followed, Compile: compile, Size: (*index).size, ...})
//	ix, err := indexes.Get(ctx, cluster) // from memory, perhaps a few milliseconds behind
//	ix, err = indexes.Now(ctx, cluster)  // misses no write that was acknowledged before the call: ask it before you refuse
//	revision, err := indexes.Wait(ctx)
//	ix, err = indexes.At(ctx, cluster, revision) // the same for several clusters, after one wait
//
// Promises:
//
//   - A write in one cluster compiles nothing anew in another, not even for Now. A value that read an object of another cluster by key is
//     dropped when that object changes; View sees which objects Compile reads.
//   - Compile reads its own cluster only, except by key, and only resources that are followed. An answer with an object of
//     another cluster is an error.
//   - Calls for one cluster share a compilation. A call that comes after an event never joins a compilation from before it.
//   - A value that an event overtook is compiled again, up to three times in all, and then handed out without being kept.
//   - Nothing is kept while a watch is out of step, between Reset and Synced or after it ended.
//   - Get costs one look into a map in a cluster without objects, if the View is told that such clusters are usual ([Config.Sparse]).
//   - Kept values are bounded in bytes; the least recently used go first. Nothing runs per cluster.
//
// Errors are those of Compile, of Fresh, or the cause of the caller's context. The caller adds its own words.
//
// Packages of registry and server may import it.
package view
