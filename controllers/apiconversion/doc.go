// Package apiconversion is the controller of APIConversions. It copies the rules of each into the definition in system:bound-crds that was made of
// the APIResourceSchema of the same name, where everything that serves the resource to consumers finds them (registry/catalog). The controller
// of APIBindings does so when it creates a definition; this one follows what changes later.
//
// Consumers keep what they have bound if the provider is gone. So the rules are kept, too, if not only the APIConversion is deleted but the
// APIResourceSchema or the workspace with it.
package apiconversion
