// Package crd turns an APIResourceSchema into the CustomResourceDefinition by which the resource is served, turns a
// CustomResourceDefinition into an APIResourceSchema, and validates schemas the way CustomResourceDefinitions are
// validated: structural schemas, defaults, CEL rules and their cost, printer columns, selectable fields, protected groups.
//
// It is logic only, but brings the CEL compiler with it; packages that only need the types do not import it.
package crd
