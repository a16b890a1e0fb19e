package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// The table stands between these two lines of the README.
const (
	begin = "<!-- values: written by make generate -->\n"
	end   = "<!-- end of values -->\n"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: chartdocs <folder of the chart>")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "chartdocs:", err)
		os.Exit(1)
	}
}

func run(chart string) error {
	values, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return fmt.Errorf("reading the values: %w", err)
	}
	rows, err := parse(values)
	if err != nil {
		return fmt.Errorf("values.yaml: %w", err)
	}
	path := filepath.Join(chart, "README.md")
	readme, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the README: %w", err)
	}
	before, rest, ok := bytes.Cut(readme, []byte(begin))
	_, after, closed := bytes.Cut(rest, []byte(end))
	if !ok || !closed {
		return fmt.Errorf("%s: no lines %q and %q to write between", path, begin, end)
	}
	written := bytes.Join([][]byte{before, []byte(begin), []byte(render(rows)), []byte(end), after}, nil)
	if err := os.WriteFile(path, written, 0o644); err != nil {
		return fmt.Errorf("writing the README: %w", err)
	}
	return nil
}
