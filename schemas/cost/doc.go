// Package cost says what an object costs the server by the schema of its definition, before the server validates it or adds defaults.
//
//	validation.go   whether it takes too long to validate an object
//	work.go         how long that takes, in steps
//	errors.go       how many errors it has
//	defaults.go     how much defaults add to it
//
// The stock libraries have no such limits. registry/schema asks before it lets them see what a user sends, schemas/fit before it lets them see
// what is stored. It is logic only; servers and controllers may import it.
package cost
