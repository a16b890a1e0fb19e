// Package apiexport looks after each APIExport: it gives it an identity, verifies that the identity stays what it was, says
// which of its schemas are missing, and puts an endpoint slice of the same name beside it.
//
// The identity is a key in a Secret of the export's cluster; its hash is the bucket of all objects of consumers, and stands
// in the status for ever. A key made here lies in namespace kcp-system under the name of the export, and stays there when
// the export goes, so that one made anew finds its objects again.
//
// What bindings take over from an export is controllers/apibinding's; the addresses in slices are controllers/endpointslice's.
package apiexport
