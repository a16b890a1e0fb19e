// Package filter narrows a request to some of the objects that it would otherwise reach. An endpoint decides which: it puts a
// [Filter] into the context of the request. The storages of registry/storage apply it through a [Sight], the only place where
// a filter is asked.
//
// An object that the filter does not show does not exist for the request: a get, an update and a deletion answer NotFound,
// lists and collections leave it out, and a watch sends it when it comes into sight and deletes it when it leaves. A write
// whose result would not show answers Forbidden and stores nothing. Only a name that is taken cannot be hidden: a create
// answers AlreadyExists.
//
// An object whose head cannot be read, or which cannot be decoded, never shows. Only storages of registry/storage look at a filter: whoever serves
// anything else must refuse requests that have one.
//
// Dry runs of updates and deletions are filtered as far as they read. A dry run of a create, and the result of a dry run of
// an update, never reach storage; they tell nothing but what the client sent.
package filter
