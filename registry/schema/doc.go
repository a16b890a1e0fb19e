// Package schema serves custom resources: one stock CRD handler of k8s.io/apiextensions-apiserver for each schema hash, in
// an LRU bounded in bytes, shared by all clusters that serve the schema. It is part of step 6 of docs/request.md, REST storage.
//
// The handler takes its one CustomResourceDefinition from a fake informer. Cluster and bucket are not its business: they are
// in the context of a request, put there by the last mile (server/serve), and end up in the storage key. What differs
// between clusters with the same schema is kept out of it: a definition that is being deleted is told through the context
// too ([Handlers.For] does so), and every definition handed in was established long ago, since the stock handler delays
// creates for two seconds after that moment.
//
// A handler costs 0.2 MB, some KiB for each node of the schema and 80 KiB for each CEL rule (size.go), and is built at its first request in
// 8 to 50 ms, mostly for CEL. Evicting one lets requests that are under way finish and ends no watch: storage and watch caches are shared
// and not its own.
//
// An object whose validation would take too long is refused before it begins (bounded.go, by schemas/cost). A new schema can make a stored object
// such a one. It can still be deleted, lose its finalizers, and be labeled, by a handler without a schema (letgo.go).
//
// The stock handler adds defaults wherever it decodes: to the body of a request, to what a patch makes of an object, and to what is stored.
// A list of small objects can grow a thousand times by that, so what defaults add is counted before (by schemas/cost): when the handler reads
// the body (growing.go), and in the storage that it works on, where it reads the object that it patches (growingstorage.go). It also makes
// the paths of fields that it does not know, so they are added up before (paths.go).
//
// The rules of an APIConversion (rules.go) convert objects as a webhook does: to the stock handler they are one (rulehooks.go), whose requests go
// nowhere. What is read is converted by them directly. They belong to the definition, in an annotation, so they are part of its hash, and go with
// its handler. An object that they cannot convert to each served version is refused (convertible.go).
//
// Names of objects are DNS subdomains to the stock handler. If a schema allows all names that a URL can have (nameValidation: PathSegmentName), the
// strategies by which it creates objects are wrapped (names.go).
//
// Webhooks may convert objects (webhooks.go). To the consumers of a bound resource they do not say why they cannot be called (discreet.go), and
// few of their requests wait long for a provider whose webhook does not answer (waits.go). The stock handler converts them one by one. Lists and the first events of watches are converted with
// one call for many objects (batch.go), to the same result. The server itself works on objects as they are stored (stored.go),
// and rewrites those that are stored in an older version (rewrite.go). Each write says in which version it stores an object (versioned.go), so that none
// is stored in one that is no longer used.
//
// What of the stock handler is used beyond its documentation, each with a test here: nil for the private discovery
// parameters, the storage in the scope of a request that admission gets (names.go), and the delete function that it registers with the informer, which tears down what the lister no longer lists.
package schema
