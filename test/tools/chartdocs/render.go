package main

import (
	"fmt"
	"strings"
)

// render returns the table as Markdown.
func render(rows []row) string {
	var b strings.Builder
	b.WriteString("| value | default | description |\n|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", r.path, cell(r.fallback), cell(r.description))
	}
	return b.String()
}

// cell keeps a text within its cell.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
