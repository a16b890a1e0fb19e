// Package lint holds rules about the whole repository, written as tests: which way imports point, and who may make keys.
package lint
