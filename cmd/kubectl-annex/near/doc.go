// Package near finds what a user may have meant by a name that does not exist, and says it at the end of a message. It measures names as cobra
// does for commands.
package near
