package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
)

// message is one of those that govulncheck -format json writes, as far as it matters here.
type message struct {
	OSV *struct {
		ID      string `json:"id"`
		Summary string `json:"summary"`
	} `json:"osv"`
	Finding *struct {
		OSV   string `json:"osv"`
		Fixed string `json:"fixed_version"`
		Trace []struct {
			Module   string `json:"module"`
			Version  string `json:"version"`
			Package  string `json:"package"`
			Function string `json:"function"`
		} `json:"trace"`
	} `json:"finding"`
}

// vulnerability is one that a program may be hit by.
type vulnerability struct {
	summary, module, version, fixed string
	// example is one of the functions that it is in.
	example string
}

// findings are what a search found, by the ID of the vulnerability.
type findings struct{ modules, library map[string]vulnerability }

// standardLibrary is what govulncheck calls it, as if it were a module.
const standardLibrary = "stdlib"

// search asks govulncheck about a program. A database that cannot be read is an error.
func search(ctx context.Context, govulncheck, database, program string) (findings, error) {
	command := exec.CommandContext(ctx, govulncheck, "-mode", "binary", "-format", "json", "-db", database, program)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil {
		return findings{}, fmt.Errorf("%w: %s", err, strings.TrimSpace(errs.String()))
	}
	return read(&out)
}

// read reads what govulncheck wrote.
func read(from io.Reader) (findings, error) {
	found := findings{modules: map[string]vulnerability{}, library: map[string]vulnerability{}}
	summaries := map[string]string{}
	for decoder := json.NewDecoder(from); ; {
		var m message
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return found, fmt.Errorf("reading the answer of govulncheck: %w", err)
		}
		if m.OSV != nil {
			summaries[m.OSV.ID] = m.OSV.Summary
		}
		// A finding without a function is about a module or package of which nothing vulnerable is in the program.
		if m.Finding == nil || len(m.Finding.Trace) == 0 || m.Finding.Trace[0].Function == "" {
			continue
		}
		at, group := m.Finding.Trace[0], found.modules
		if at.Module == standardLibrary {
			group = found.library
		}
		group[m.Finding.OSV] = vulnerability{module: at.Module, version: at.Version, fixed: m.Finding.Fixed, example: at.Package + "." + at.Function}
	}
	for _, group := range []map[string]vulnerability{found.modules, found.library} {
		for id, v := range group {
			v.summary = summaries[id]
			group[id] = v
		}
	}
	return found, nil
}

// tell prints a line for each vulnerability of a module, and one for those of the standard library.
func (f findings) tell(out io.Writer, program string) error {
	var lines strings.Builder
	if len(f.modules)+len(f.library) == 0 {
		fmt.Fprintf(&lines, "%s: no known vulnerabilities\n", program)
	}
	for _, id := range slices.Sorted(maps.Keys(f.modules)) {
		v := f.modules[id]
		fixed := "no version fixes it"
		if v.fixed != "" {
			fixed = "fixed in " + v.fixed
		}
		fmt.Fprintf(&lines, "%s: %s, %s: %s of %s %s; %s\n", program, id, v.summary, v.example, v.module, v.version, fixed)
	}
	if len(f.library) > 0 {
		ids := slices.Sorted(maps.Keys(f.library))
		fmt.Fprintf(&lines, "%s: the standard library of %s has %d known vulnerabilities that the program may be hit by (%s); build it with a newer Go\n",
			program, strings.Replace(f.library[ids[0]].version, "v", "go", 1), len(ids), strings.Join(ids, ", "))
	}
	_, err := io.WriteString(out, lines.String())
	return err
}
