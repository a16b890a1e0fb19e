// Package flags has what the commands of the examples have in common: the flags that say where the provider's workspace is, and how a manager is
// started with them. It is not a library: copy what you need.
package flags
