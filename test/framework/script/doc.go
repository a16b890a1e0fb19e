// Package script types what a user types: lists of command lines of kubectl, with what has to come of each. Flags say at which door of the
// server: the same scripts can be typed at all of them.
//
// A script is YAML; [Script] and [Step] say what is in it. The common files of [Load] are in the directory of each script.
//
// Only tests may import this package.
package script
