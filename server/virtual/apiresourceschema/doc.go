// Package apiresourceschema is the virtual workspace that shows a consumer the schemas of what it has bound, wherever they are:
//
//	/services/apiresourceschema/<consumer>/apis/apis.kcp.io/v1alpha1/apiresourceschemas[/<name>]
//	/services/apiresourceschema/<consumer>/clusters/<consumer or *>/apis/...   the same
//
// The consumer is the name or the path of a logical cluster. What is shown, and to whom:
//
//	authorize.go   to who may get APIBindings in the consumer: these name the schemas. Whoever may not enter it, may not that either
//	schemas.go     APIResourceSchemas whose UID a boundResource of an APIBinding in the consumer names, and no other of the same name
//	serve.go       for reading only
//
// A watch ends with 410 when the consumer binds other schemas.
package apiresourceschema
