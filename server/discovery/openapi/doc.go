// Package openapi puts OpenAPI v3 documents together from parts, one for each resource.
//
// A document of hundreds of kinds has tens of megabytes, and most of that is the same for each kind: the parameters of requests, and the
// types of metadata. So a [Part] keeps its JSON in pieces, and equal pieces of different parts are one string. A [Document] refers to the
// pieces of its parts and copies nothing. A change of one kind costs the making of one part, whatever else is in the document.
//
// A document in protobuf is the same: protobuf merges messages that stand one behind the other. Each piece is converted on its own.
package openapi
