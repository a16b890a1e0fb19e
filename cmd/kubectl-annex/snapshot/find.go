package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The files of a chart, as Helm finds them.
const (
	chartFile  = "Chart.yaml"
	definedIn  = "crds"
	dependedIn = "charts"
	packed     = ".tgz"
)

// Found is what was found in a file, a folder or a chart.
type Found struct {
	// Manifests are the CustomResourceDefinitions, in the order of the names of files.
	Manifests []Manifest
	// Others is how many documents of other kinds were left out.
	Others int
	// Packed are charts that the chart depends on and that were not read, because they are archives.
	Packed []string

	chart bool
	in    map[string]string // files, by the names of definitions
}

// Advice says what to do if nothing was found; empty if there is nothing to say.
func (f *Found) Advice() string {
	if !f.chart {
		return ""
	}
	return " in the directory crds of the chart. If its templates have some, pipe what 'helm template' prints into --filename -"
}

// FindIn finds the CustomResourceDefinitions in a stream, which errors call name.
func FindIn(in io.Reader, name string) (Found, error) {
	f := Found{in: map[string]string{}}
	return f, f.read(in, name)
}

// Find finds the CustomResourceDefinitions at a path: in a file, in the files of a folder, or, if the folder is a chart, in its folder crds and in those
// of the charts beside it that it depends on. It is an error if a definition is there twice.
func Find(path string) (Found, error) {
	f := Found{in: map[string]string{}}
	info, err := os.Stat(path)
	if err != nil {
		return f, err
	}
	if !info.IsDir() {
		return f, f.file(path)
	}
	switch is, err := isChart(path); {
	case err != nil:
		return f, err
	case is:
		f.chart = true
		return f, f.ofChart(path)
	}
	return f, f.folder(path)
}

func isChart(path string) (bool, error) {
	_, err := os.Stat(filepath.Join(path, chartFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// isManifest reports whether a file of a folder is read.
func isManifest(name string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name))
}

// folder reads the files of a folder, as kubectl does.
func (f *Found) folder(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() || !isManifest(entry.Name()) {
			continue
		}
		if err := f.file(filepath.Join(path, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// ofChart reads the definitions that Helm would install with a chart.
func (f *Found) ofChart(path string) error {
	err := filepath.WalkDir(filepath.Join(path, definedIn), func(file string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && file == filepath.Join(path, definedIn) {
			return nil // a chart without definitions
		}
		if err != nil || entry.IsDir() || !isManifest(file) {
			return err
		}
		return f.file(file)
	})
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(path, dependedIn))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		below := filepath.Join(path, dependedIn, entry.Name())
		if !entry.IsDir() {
			if strings.HasSuffix(entry.Name(), packed) {
				f.Packed = append(f.Packed, below)
			}
			continue
		}
		is, err := isChart(below)
		if err != nil {
			return err
		}
		if is {
			if err := f.ofChart(below); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *Found) file(path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	return f.read(in, path)
}

// read adds the definitions in a stream.
func (f *Found) read(in io.Reader, name string) error {
	err := each(in, func(document []byte) error {
		var is metav1.TypeMeta
		if err := json.Unmarshal(document, &is); err != nil {
			return fmt.Errorf("it is no object: %w", err)
		}
		if is.Kind != kind {
			f.Others++
			return nil
		}
		// Another version of this kind is an error, not another kind.
		manifest, err := parse(document)
		if err != nil {
			return err
		}
		if before, twice := f.in[manifest.Definition.Name]; twice {
			return fmt.Errorf("CustomResourceDefinition %q is in %s, too", manifest.Definition.Name, before)
		}
		f.in[manifest.Definition.Name] = name
		f.Manifests = append(f.Manifests, manifest)
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
