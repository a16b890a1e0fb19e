// Package watchfile notices that the content of a file has changed. It reads the file again and again instead of waiting for events of
// the file system, which are lost on network file systems and with files that are mounted alone. The files are small: configuration, and
// lists of tokens.
//
// [File] is for one reader. Only packages that follow a file of the operator import this package; certificates are followed by the stock
// library.
package watchfile
