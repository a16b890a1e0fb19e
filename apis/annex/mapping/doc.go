// Package mapping says which workspace a namespace of the host stands for: the paths of HostBindings and what becomes of
// them. It is pure logic; anyone may import it.
package mapping
