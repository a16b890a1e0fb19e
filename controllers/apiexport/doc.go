// Package apiexport is the controller of APIExports. It creates the identity of an export, verifies that the identity does not change,
// reports missing schemas and missing endpoints of virtual storage, and creates an endpoint slice of the same name.
//
// The identity is a key in a Secret in the export's cluster. Its hash is the bucket of all objects of consumers, and stays in the status
// permanently. A key that is generated here is in namespace kcp-system under the name of the export. It is kept after the export is
// deleted, so that a new export of the same name finds its objects again.
//
// controllers/apibinding handles what bindings copy from an export. controllers/endpointslice sets the addresses in slices.
package apiexport
