// Package operator runs a small operator, written with nothing but a stock controller-runtime, inside one workspace. Its tests set it up
// with envtest, with the workspace as the existing cluster, as projects do that test their operators.
package operator
