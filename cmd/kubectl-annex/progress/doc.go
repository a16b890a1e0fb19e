// Package progress says on a terminal, or in a log, what a command waits for, as soon as that takes more than a second.
package progress
