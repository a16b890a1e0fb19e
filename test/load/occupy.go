package main

import (
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
)

// occupyCommand makes the program keep every processor at work and do nothing else.
const occupyCommand = "occupy"

// runOccupy is the process.
func runOccupy(in io.Reader, _ io.Writer) error {
	var over atomic.Bool
	defer over.Store(true)
	for range runtime.NumCPU() {
		go func() {
			for {
				if over.Load() {
					return
				}
			}
		}()
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return fmt.Errorf("waiting for the end: %w", err)
	}
	return nil
}
