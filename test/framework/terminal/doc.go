// Package terminal runs a program in a pseudo-terminal, in which a test types and sees what a user would see.
//
// It needs Linux. Only tests may import it.
package terminal
