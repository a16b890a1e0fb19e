// Package consumer checks what Annex costs a program that imports it: the program in testdata/operator is built as a module of its own, which
// requires ours by their versions from a module proxy and has no replace line. The test makes that proxy, a folder, from the checkout.
package consumer
