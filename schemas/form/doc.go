// Package form gives custom resources the form that the schemas of their definition describe: unknown fields are removed, defaults are added,
// and metadata that is invalid is removed or refused. The result is the same as that of the stock handler of CustomResourceDefinitions.
//
// registry/schema uses it for what it converts, schemas/fit for what it checks. It is logic only; servers and controllers may import it.
package form
