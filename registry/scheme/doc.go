// Package scheme builds the one runtime.Scheme of the server and the codecs that follow from it.
//
// It knows every kind that is served by go-restful storage: those of k8s.io/api, CustomResourceDefinitions, and our own.
// Kinds of k8s.io/api have no internal twin here: the Go type of the served version is registered under the version
// __internal too, so that the stock handlers, which work on internal objects, find a kind to convert to; the conversion is
// then a no-op. CustomResourceDefinitions are the exception, since their stock strategy needs the internal type. For
// APIExport and APIBinding the internal type is that of v1alpha2, into which v1alpha1 is converted.
//
// A kind without __internal is accepted on create and then never listed: the watch cache cannot decode it and never gets
// ready. The table in resources.go is therefore the only place where a resource is made known, and the tests list every
// one of them through a watch cache.
//
// Defaults of k8s.io/api kinds are in defaults.go, the fields that selectors may name in fields.go, and the conversion
// between the two kinds of Event in events.go.
package scheme
