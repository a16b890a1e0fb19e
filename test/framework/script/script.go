package script

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// Script is a list of command lines that are typed one after the other in a new workspace.
type Script struct {
	Name string `json:"name"`
	// Everywhere is for scripts that are typed at each door. The others are typed at the server's own endpoint only.
	Everywhere bool `json:"everywhere"`
	// Files are in the directory in which it is typed, by their path there.
	Files map[string]string `json:"files"`
	Steps []Step            `json:"steps"`
}

// Step is a command line. Without a field that says otherwise it has to succeed.
type Step struct {
	// Run are the arguments, separated by blanks; `` keep blanks together. In it, in Stdin and in Says, $name stands for what a step with
	// keep: name has printed, and $port for a free port.
	Run   string            `json:"run"`
	Stdin string            `json:"stdin"`
	Env   map[string]string `json:"env"`
	// Says and Lacks are parts of what is printed, Is all of stdout.
	Says  []string `json:"says"`
	Lacks []string `json:"lacks"`
	Is    *string  `json:"is"`
	// Fails wants an exit code other than 0, Code a certain one.
	Fails bool `json:"fails"`
	Code  int  `json:"code"`
	// Once wants one line, not more.
	Once bool `json:"once"`
	// Eventually repeats the command until all is so.
	Eventually bool   `json:"eventually"`
	Keep       string `json:"keep"`
	// Background lets the command run until the script ends; Says is what it must have said by then. The next step is typed after
	// it has said Ready.
	Background bool   `json:"background"`
	Ready      string `json:"ready"`
}

// Load returns the scripts in the YAML files of a directory. Each has the files in its folder files, beside its own.
func Load(dir string) ([]Script, error) {
	sources, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(sources) == 0 {
		return nil, fmt.Errorf("no scripts in %s: %w", dir, err)
	}
	shared, err := filepath.Glob(filepath.Join(dir, "files", "*"))
	if err != nil {
		return nil, err
	}
	common := map[string]string{}
	for _, file := range shared {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading a common file of all scripts: %w", err)
		}
		common[filepath.Base(file)] = string(data)
	}
	var all []Script
	for _, source := range sources {
		data, err := os.ReadFile(source)
		if err != nil {
			return nil, fmt.Errorf("reading scripts: %w", err)
		}
		var scripts []Script
		if err := yaml.UnmarshalStrict(data, &scripts); err != nil {
			return nil, fmt.Errorf("reading scripts of %s: %w", source, err)
		}
		for i := range scripts {
			files := maps.Clone(common)
			maps.Copy(files, scripts[i].Files)
			scripts[i].Files = files
		}
		all = append(all, scripts...)
	}
	return all, nil
}
