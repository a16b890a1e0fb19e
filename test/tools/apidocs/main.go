package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	root := flag.String("root", ".", "root of the checkout")
	out := flag.String("out", "docs/api-reference.md", "file to write")
	flag.Parse()
	if err := run(*root, *out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "apidocs:", err)
		os.Exit(1)
	}
}

func run(root, out string, packages []string) error {
	var parsed []*apiPackage
	for _, p := range packages {
		pkg, err := parse(filepath.Join(root, "apis", filepath.FromSlash(p)))
		if err != nil {
			return fmt.Errorf("reading package %s: %w", p, err)
		}
		parsed = append(parsed, pkg)
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return fmt.Errorf("making the folder of %s: %w", out, err)
	}
	if err := os.WriteFile(out, []byte(render(parsed)), 0o644); err != nil {
		return fmt.Errorf("writing the reference: %w", err)
	}
	return nil
}
