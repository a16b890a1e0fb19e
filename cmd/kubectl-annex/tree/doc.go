// Package tree reads the workspaces below a workspace, and draws them.
//
//	tree.go    the nodes, which are read while they are drawn
//	list.go    reading: with one list for all, if the user may read that, or with a list for each workspace
//	heads.go   the fields that commands show, of which a list is decoded in a fraction of the time
//	draw.go    the picture
//	wide.go    the picture with phases
//	walk.go    the same nodes as a list, for commands that work on a whole subtree
//
// What a user may not see is left out: a workspace that the user may not enter has no children. A mounted workspace is somebody
// else's server and is never entered.
package tree
