// Package typeresolution contains the rules for WorkspaceTypes: where the server looks for an unqualified type, which types a type
// extends (its aliases), which types are allowed above and below one another, and what a new workspace gets from them.
//
// It reads types through a Getter and stores nothing. Its errors are for users; the caller turns them into an API
// status (403, spec/01 §6.2). Anyone may import it.
package typeresolution
