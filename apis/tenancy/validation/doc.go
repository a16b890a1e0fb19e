// Package validation checks which objects of tenancy.kcp.io are valid, as far as the object alone tells. Admission
// checks what depends on other information: whether a type exists, who the user is, and what is allowed where in the tree.
package validation
