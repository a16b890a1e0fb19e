package watchfile

import (
	"bytes"
	"fmt"
	"os"
	"time"
)

// Interval is the time between two calls of [File.Poll] that callers should use. A change is noticed after two of them.
const Interval = 400 * time.Millisecond

// File is a file whose content may change. It is for one goroutine.
type File struct {
	path string
	// current is what Open or Poll returned last, and next what the last Poll has read.
	current, next []byte
	// missing says that the file could not be read when Poll last tried.
	missing bool
}

// Open reads the file at path.
func Open(path string) (*File, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return &File{path: path, current: content, next: content}, nil
}

// Path returns the path of the file.
func (f *File) Path() string { return f.path }

// Content returns what was read last. The caller must not change it.
func (f *File) Content() []byte { return f.current }

// Poll reads the file again. It returns true if there is a new content, which Content then returns. A content is new when two calls in a
// row have read it, so that a file is not used while somebody is still writing it. The error says that the file cannot be read; of several
// such calls in a row, only the first one returns it.
func (f *File) Poll() (bool, error) {
	content, err := os.ReadFile(f.path)
	if err != nil {
		again := f.missing
		f.missing = true
		if again {
			return false, nil
		}
		return false, fmt.Errorf("reading a file again: %w", err)
	}
	f.missing = false
	settled := bytes.Equal(content, f.next)
	f.next = content
	if !settled || bytes.Equal(content, f.current) {
		return false, nil
	}
	f.current = content
	return true, nil
}
