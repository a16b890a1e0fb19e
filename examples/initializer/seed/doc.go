// Package seed prepares each new workspace of a type: it makes a namespace with a quota, with rights for a group, and with a ConfigMap that says
// where to get help. Then it takes the initializer off, and the workspace becomes Ready.
package seed
