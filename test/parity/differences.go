package parity

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"
)

// Kinds of differences.
const (
	// Wanted is a difference that stays: a workspace is not a cluster.
	Wanted = "wanted"
	// Known is a difference that is there until somebody writes what is missing.
	Known = "known"
)

// Difference is what a workspace does differently from a stock server, and where the corpus meets it.
type Difference struct {
	What string `json:"what"`
	// Kind is Wanted or Known.
	Kind  string  `json:"kind"`
	Why   string  `json:"why"`
	Where []Place `json:"where"`
}

// Place is a part of the answers to some cases.
type Place struct {
	// Case is the name of a case; * stands for any text.
	Case string `json:"case"`
	// At are the paths that differ, with all below them. A part * stands for any part, so that * alone stands for everything.
	At []string `json:"at"`

	name      *regexp.Regexp
	ran, used bool
}

// Differences is the list of differences.yaml.
type Differences struct {
	List []Difference

	mu sync.Mutex
}

// LoadDifferences reads and checks differences.yaml.
func LoadDifferences() (*Differences, error) {
	const name = "differences.yaml"
	data, err := files.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	d := &Differences{}
	if err := yaml.UnmarshalStrict(data, &d.List); err != nil {
		return nil, fmt.Errorf("parsing %s: %w", name, err)
	}
	for i := range d.List {
		one := &d.List[i]
		if one.What == "" || one.Why == "" || len(one.Where) == 0 || (one.Kind != Wanted && one.Kind != Known) {
			return nil, fmt.Errorf("%s: %q needs `what`, `why`, `where`, and a `kind` that is wanted or known", name, one.What)
		}
		for j := range one.Where {
			place := &one.Where[j]
			if len(place.At) == 0 {
				return nil, fmt.Errorf("%s: %q does not say at which paths %s differs", name, one.What, place.Case)
			}
			pattern := strings.ReplaceAll(regexp.QuoteMeta(place.Case), `\*`, ".*")
			if place.name, err = regexp.Compile("^" + pattern + "$"); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return d, nil
}

// Unlisted returns those of the differences of a case that the list does not name.
func (d *Differences) Unlisted(name string, diffs []Diff) []Diff {
	d.mu.Lock()
	defer d.mu.Unlock()
	var places []*Place
	for i := range d.List {
		for j := range d.List[i].Where {
			if place := &d.List[i].Where[j]; place.name.MatchString(name) {
				place.ran = true
				places = append(places, place)
			}
		}
	}
	var unlisted []Diff
	for _, diff := range diffs {
		listed := false
		for _, place := range places {
			if covered(diff.Path, place.At) {
				place.used, listed = true, true
			}
		}
		if !listed {
			unlisted = append(unlisted, diff)
		}
	}
	return unlisted
}

// Gone returns the listed places of which a case ran and nothing differed.
func (d *Differences) Gone() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var gone []string
	for _, one := range d.List {
		for _, place := range one.Where {
			if place.ran && !place.used {
				gone = append(gone, fmt.Sprintf("%s, %s", one.What, place.Case))
			}
		}
	}
	return gone
}

// Document returns docs/parity.md. cases is the number of cases in the corpus, commands that of command lines.
func (d *Differences) Document(cases, commands int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# A workspace beside a stock kube-apiserver

Each test run sends the same requests to a workspace and to a stock kube-apiserver of the same release, and compares the answers: status
code, reason, message, causes, warnings, headers, body and watch events. There are %d cases with requests and %d command lines of kubectl.
They are in `+"`test/parity/corpus`"+`. This page lists every difference that they find. It is written from `+"`test/parity/differences.yaml`"+` by
`+"`go test ./test/parity -run TestDocument -update`"+`.

Not compared, because it differs between any two servers: uids, resource versions, times, continue tokens, generated names, keys in etcd, the
name and groups of the administrator, and the annotation `+"`%s`"+`, which every object in a workspace has.
`, cases, commands, clusterAnnotation)
	d.table(&b, Wanted, "Differences that stay", "A workspace is not a cluster. These differences are part of the design.")
	d.table(&b, Known, "Differences that are known", "These differences are missing features or defects. See also [not-yet.md](not-yet.md).")
	return b.String()
}

func (d *Differences) table(b *strings.Builder, kind, title, text string) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| difference | reason |\n|---|---|\n", title, text)
	for _, one := range d.List {
		if one.Kind == kind {
			fmt.Fprintf(b, "| %s | %s |\n", oneLine(one.What), oneLine(one.Why))
		}
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
