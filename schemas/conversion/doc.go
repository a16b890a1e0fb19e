// Package conversion converts objects between the versions of an APIResourceSchema by the rules of an APIConversion.
//
//	path.go     paths of fields, such as .spec.name
//	compile.go  what the rules mean for the schemas of the versions, and what is wrong with them
//	program.go  transformations: CEL expressions about one field
//	convert.go  one object
//	value.go    what an expression returns, as JSON
//	budget.go   what the conversion of an object may cost
//	dropped.go  which fields get lost
//
// Two versions that neither of them is stored are converted by way of the one that is. [Compile] makes sure that there is a way between any
// two versions.
//
// Annotations of objects come from users, so what is preserved there comes back only where the rules say so and where it has the form that
// the schema describes. Metadata never changes, except for these annotations.
//
// Expressions are code of tenants. How long one may be is checked by schemas/validation; what evaluating it takes is limited for each object
// and for all objects of one call ([Budget]).
//
// It is logic only, but it imports the CEL compiler, so packages that need only the types do not import it. Servers may import it.
package conversion
