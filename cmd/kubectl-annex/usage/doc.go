// Package usage counts the objects of a workspace, for `top`. It asks for a list of one object of each resource, whose answer says how many more there
// are: so the server sends little, and counts what the user may list. The bytes are those that the workspace itself tells of, at /usage.
package usage
