//go:build !linux

package process

import "syscall"

// dieWithParent does nothing here: only Linux can tie the life of a child to
// its parent's. A child may outlive a test that is killed.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{}
}
