// Package typeresolution says how WorkspaceTypes work together: where an unqualified type is looked for, which types a type
// builds on (its aliases), which types may stand above and below one another, and what a new workspace gets from them.
//
// It reads types through a Getter and keeps nothing. The faults it returns are meant for people; the caller makes an API
// status of them (403, spec/01 §6.2). Anyone may import it.
package typeresolution
