package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"strings"
)

// checksumsFile holds a line for each file, as sha256sum writes and checks it.
const checksumsFile = "SHA256SUMS"

// addChecksums writes the sums of all files so far and returns what it wrote.
func (r *release) addChecksums() ([]byte, error) {
	var lines strings.Builder
	for _, f := range r.sorted() {
		fmt.Fprintf(&lines, "%s  %s\n", f.sha256, f.name)
	}
	content := []byte(lines.String())
	return content, r.addContent(checksumsFile, "the SHA-256 of all files", content)
}

// sumOf returns the SHA-256 of a file, in hex, and its size in bytes.
func sumOf(path string) (string, int64, error) {
	content, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = content.Close() }()
	hash := sha256.New()
	size, err := io.Copy(hash, content)
	if err != nil {
		return "", 0, err
	}
	return fmt.Sprintf("%x", hash.Sum(nil)), size, nil
}
