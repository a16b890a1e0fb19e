// Apidocs writes docs/api-reference.md: every kind of our API groups with every field, as the doc comments of the Go types
// say. It reads sources only and imports nothing but the standard library, so it is not a module of its own.
//
//	apidocs -root . -out docs/api-reference.md core/v1alpha1 tenancy/v1alpha1 ...
//
// Each argument is a package below apis. Kinds are the types marked +genclient; types that their fields are made of follow
// after them, and types of k8s.io are linked. make generate runs it.
package main
