// Package rules checks the rules of RBAC, which are in roles and in WorkspaceTypes. It is pure, and anyone may import it.
package rules
