// Package mounts says where the object that a Workspace is mounted on may lead to. It is no step of a request: the controller of workspaces asks it before
// it stores an address, and the virtual workspace of mounts before it sends anything there.
//
// Anyone may import it.
package mounts
