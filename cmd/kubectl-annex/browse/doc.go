// Package browse lets a user choose a workspace from the tree, on a terminal.
//
//	browser.go    the state, and what each key does to it
//	view.go       what is on the screen
//	run.go        the terminal: keys in, screens out
package browse
