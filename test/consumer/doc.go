// Package consumer checks what Annex costs a program that imports it: the program in testdata/operator is built as a module of its own, which
// requires ours by their versions from a module proxy and has no replace line. The test makes that proxy, a folder, from the checkout.
//
// testdata/gadgets has the types of a provider, for which the program codegen generates clients. testdata/porting has an operator of one cluster, and what
// docs/operators.md makes of it.
package consumer
