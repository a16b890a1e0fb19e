// Package oci writes an OCI image layout in a tar (OCI image-spec 1.1: image-layout, image-index, manifest).
//
//	oci-layout
//	index.json            names one blob, with a version as its reference
//	blobs/sha256/...
//
// Only the programs beside it may import it.
package oci
