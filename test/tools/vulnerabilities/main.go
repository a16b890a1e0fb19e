package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// options is what the command line says.
type options struct {
	govulncheck string
	database    string // directory or URL; empty for the one in module
	module      string // PATH@VERSION
	programs    []string
}

func main() {
	var o options
	flag.StringVar(&o.govulncheck, "govulncheck", "bin/govulncheck", "the program govulncheck")
	flag.StringVar(&o.database, "db", "", "directory or URL of a database of vulnerabilities")
	flag.StringVar(&o.module, "module", "", "Go module with a database, for when there is no -db")
	flag.Parse()
	o.programs = flag.Args()
	if err := run(context.Background(), o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "vulnerabilities:", err)
		os.Exit(1)
	}
}

// run searches all programs and tells out what it found. Its error says that a program must change.
func run(ctx context.Context, o options, out io.Writer) error {
	database, err := find(ctx, o)
	if err != nil {
		_, err := fmt.Fprintf(out, "known vulnerabilities: skipped, there is no database (%v); set GOVULNDB to a directory or URL\n", err)
		return err
	}
	failed := 0
	for _, program := range o.programs {
		found, err := search(ctx, o.govulncheck, database, program)
		if err != nil {
			return fmt.Errorf("searching %s: %w", program, err)
		}
		if err := found.tell(out, program); err != nil {
			return err
		}
		if len(found.modules) > 0 {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d programs call vulnerable code of a module: take a newer version", failed, len(o.programs))
	}
	return nil
}

// find returns the URL of the database. Its error says why there is none; one that was asked for is always there, so that
// a wrong name fails.
func find(ctx context.Context, o options) (string, error) {
	if o.database == "" {
		// Outside of every module, so that neither go.mod nor go.work has a say.
		command := exec.CommandContext(ctx, "go", "mod", "download", "-json", o.module)
		command.Dir = os.TempDir()
		command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
		answer, err := command.Output()
		var module struct{ Dir, Error string }
		if decoded := json.Unmarshal(answer, &module); decoded != nil || module.Error != "" || err != nil {
			if exit := (*exec.ExitError)(nil); module.Error == "" && errors.As(err, &exit) {
				module.Error = string(exit.Stderr)
			}
			return "", fmt.Errorf("downloading %s: %s", o.module, strings.Join(strings.Fields(cmp.Or(module.Error, fmt.Sprint(err, decoded))), " "))
		}
		return fileURL(filepath.Join(module.Dir, "data", "osv")), nil
	}
	if u, err := url.Parse(o.database); err == nil && u.Scheme != "" {
		return o.database, nil
	}
	dir, err := filepath.Abs(o.database)
	return fileURL(dir), err
}

func fileURL(dir string) string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(dir)}).String()
}
