package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
)

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "codegen:", err)
		os.Exit(1)
	}
}

// job is what is generated from what.
type job struct {
	// module is the path of the user's module, in whose directory the program runs.
	module string
	// apis are the folders of the packages of types, such as apis/widgets/v1.
	apis []string
	// output is the folder of what is generated.
	output string
	// header is a file with what each generated file begins with.
	header string
	// external are apply configurations for types of others.
	external []string
}

// pkg returns the import path of a folder of the module.
func (j *job) pkg(folder ...string) string {
	return path.Join(append([]string{j.module}, folder...)...)
}

// generated is a file in the output folder, without which nothing there is deleted.
const generated = ".generated-by-annex-codegen"

func run(args []string) error {
	var j job
	flags := pflag.NewFlagSet("codegen", pflag.ContinueOnError)
	flags.StringSliceVar(&j.apis, "apis", nil, "folders of the packages with your types, such as apis/widgets/v1; each ends with <group>/<version>")
	flags.StringVar(&j.output, "output", "generated", "folder for what is generated; it is emptied before")
	flags.StringVar(&j.header, "header", "", "file with what each generated file begins with, such as a license in a comment")
	flags.StringSliceVar(&j.external, "external-applyconfigurations", nil,
		"apply configurations for types of others in yours, as <package>.<type>:<package>, such as k8s.io/api/core/v1.SecretReference:k8s.io/client-go/applyconfigurations/core/v1")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := j.prepare(flags.Args()); err != nil {
		return err
	}
	for _, step := range steps {
		if err := step.run(&j); err != nil {
			return fmt.Errorf("generating %s: %w", step.name, err)
		}
	}
	return nil
}

// prepare checks the job, finds the module, and empties the output folder.
func (j *job) prepare(rest []string) error {
	var faults []error
	if len(rest) > 0 {
		faults = append(faults, fmt.Errorf("unexpected argument %q", rest[0]))
	}
	if len(j.apis) == 0 {
		faults = append(faults, errors.New("--apis is required"))
	}
	for i, folder := range j.apis {
		j.apis[i] = filepath.ToSlash(filepath.Clean(folder))
		if !filepath.IsLocal(folder) || strings.Count(j.apis[i], "/") < 1 {
			faults = append(faults, fmt.Errorf("--apis: %q must be a folder below this one that ends with <group>/<version>", folder))
		}
	}
	j.output = filepath.ToSlash(filepath.Clean(j.output))
	if !filepath.IsLocal(j.output) || j.output == "." {
		faults = append(faults, fmt.Errorf("--output: %q must be a folder below this one", j.output))
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	// Not go list: in a workspace that has several modules.
	out, err := exec.Command("go", "mod", "edit", "-json", "go.mod").Output()
	if err != nil {
		return fmt.Errorf("reading go.mod: codegen runs in the root of a module: %w", err)
	}
	var mod struct{ Module struct{ Path string } }
	if err := json.Unmarshal(out, &mod); err != nil {
		return fmt.Errorf("reading go.mod: %w", err)
	}
	j.module = mod.Module.Path
	return j.empty()
}

// empty removes what the program has generated before, and nothing else.
func (j *job) empty() error {
	entries, err := os.ReadDir(j.output)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading the output folder: %w", err)
	}
	mark := filepath.Join(j.output, generated)
	if _, err := os.Stat(mark); err != nil && len(entries) > 0 {
		return fmt.Errorf("--output: %s has files that this program has not generated: name another folder", j.output)
	}
	if err := os.RemoveAll(j.output); err != nil {
		return fmt.Errorf("emptying the output folder: %w", err)
	}
	if err := os.MkdirAll(j.output, 0o755); err != nil {
		return fmt.Errorf("making the output folder: %w", err)
	}
	return os.WriteFile(mark, nil, 0o644)
}
