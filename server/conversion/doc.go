// Package conversion connects the converters of custom resources (registry/schema) to the webhooks that definitions name
// (spec.conversion.webhook): step 6 of docs/request.md. The converter itself is that of k8s.io/apiextensions-apiserver.
//
// A conversion is a request that a tenant makes the server send, so server/outbound makes it. The stock converter knows no context: it neither
// ends with the request that needs it, nor can it be told to. So an attempt has [Timeout], and there is only one: a webhook cannot ask the
// server to come back later and keep a request waiting with that. While it waits, a request keeps the seats of its tenant (server/fairness). So only few
// wait long for the webhooks of one provider (registry/schema, waits.go).
//
// Packages of server may import it.
package conversion
