// Package mapping maps a namespace of the host to a workspace, with the paths of HostBindings. It is pure logic; anyone may import
// it.
package mapping
