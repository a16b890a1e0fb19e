// Package artifact holds what the programs that write a release (image, release) share: the same input gives the same bytes.
//
//	binary.go     an executable that the go command has built, and what it says of itself
//	sbom.go       its SBOM in SPDX 2.3
//	archive.go    tar, zip and gzip whose bytes follow from their entries alone
//	file.go       files that are replaced whole, and the time that everything in a release bears
//
// Only the programs beside it may import it.
package artifact
