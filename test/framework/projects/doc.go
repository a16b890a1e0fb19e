// Package projects knows the well-known projects whose CustomResourceDefinitions Annex must serve unchanged. The files come from the Go
// modules that test/crds pins, so they are what the projects have released.
//
// Only tests import this package.
package projects
