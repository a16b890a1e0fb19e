// Package validation checks which objects of apis.kcp.io are valid, as far as the object alone tells. APIExport and
// APIBinding are checked in v1alpha2, and the other version is converted first. Admission checks what depends on other
// information: whether an export exists, who may bind it, and which groups a workspace may use.
//
// The schema inside an APIResourceSchema is checked by schemas/crd, which brings the CEL compiler with it; this package
// calls it, so only servers import it.
package validation
