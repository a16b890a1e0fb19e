// Package validation says which objects of apis.kcp.io are valid, as far as the object alone tells. APIExport and
// APIBinding are checked in v1alpha2, to which the other version is converted first. What needs a look elsewhere - whether
// an export exists, who may bind it, which groups a workspace may use - is for admission.
//
// The schema inside an APIResourceSchema is checked by apis/apis/crd, which brings the CEL compiler with it; this package
// calls it, so only servers import it.
package validation
