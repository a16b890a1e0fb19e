// Package references holds an index of who refers to whom, across logical clusters: which APIBindings use an export, which
// use a bound schema. Controllers fill it from what their watches and reconciles see and ask it whom a change concerns.
//
// An answer may hold objects that are gone, since a watch that starts over does not tell of deletions that it missed; so
// look at an object before you rely on it. Memory is a few hundred bytes for each reference.
package references
