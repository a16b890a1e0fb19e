// Package apis is the REST storage of apis.kcp.io: apiresourceschemas, apiconversions and apiexportendpointslices in v1alpha1, apiexports
// and apibindings in v1alpha1 and v1alpha2, each with its status.
//
// APIExport and APIBinding have one storage each that serves both versions: they are stored, and handled in here, as
// v1alpha2; the scheme converts on the way in and out. Addresses in APIExportEndpointSlices are stored as paths, and the
// address of the server is put before them on read, so that they are never stale.
//
// A bad APIResourceSchema is Forbidden, not Invalid, as in kcp. Who may bind what is decided in
// server/admission/sharing, what is well formed in schemas/validation. [WithBindingsOf] narrows apibindings to those of
// one export, for the provider's virtual workspace.
package apis
