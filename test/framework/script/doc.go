// Package script types what a user types: lists of command lines of kubectl, with what has to come of each. Tests run the same scripts at
// each door of the server.
//
// A script is YAML; [Script] and [Step] say what is in it. The common files of [Load] are in the directory of each script.
//
// Only tests may import this package.
package script
