// Package crd converts an APIResourceSchema to the CustomResourceDefinition that serves the resource, and a CustomResourceDefinition
// to an APIResourceSchema. It validates schemas in the same way as CustomResourceDefinitions: structural schemas, defaults, CEL rules and their cost, printer columns, selectable fields, protected groups.
//
// It is logic only, but it imports the CEL compiler, so packages that need only the types do not import it.
package crd
