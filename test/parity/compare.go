package parity

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Diff is one place where the answers to a step differ.
type Diff struct {
	Step int    // from 1
	Path string // such as `code`, `header.Warning`, `body.details.causes.0.field`
	// Stock and Annex are what each server says there, as JSON; "nothing" if it says nothing.
	Stock, Annex string
}

// String implements fmt.Stringer.
func (d Diff) String() string {
	return fmt.Sprintf("step %d: %s\n\tstock: %s\n\tannex: %s", d.Step, d.Path, d.Stock, d.Annex)
}

// absent is the value of a field that is not there.
type absent struct{}

// Compare returns the differences between two answers to the step with the number n.
func Compare(n int, step Step, stock, annex Answer) []Diff {
	var diffs []Diff
	if stock.Code != annex.Code && (len(step.Only) == 0 || covered("code", step.Only)) {
		// Everything else differs as well.
		return []Diff{{Step: n, Path: "code", Stock: stock.summary(), Annex: annex.summary()}}
	}
	compare("", stock.tree(), annex.tree(), func(path string, stock, annex any) {
		if (len(step.Only) == 0 || covered(path, step.Only)) && !covered(path, step.Ignore) {
			diffs = append(diffs, Diff{Step: n, Path: path, Stock: show(stock), Annex: show(annex)})
		}
	})
	return diffs
}

// covered reports whether path is one of paths or below it. A part * stands for any part.
func covered(path string, paths []string) bool {
	parts := strings.Split(path, ".")
	return slices.ContainsFunc(paths, func(p string) bool {
		wanted := strings.Split(p, ".")
		return len(parts) >= len(wanted) && slices.EqualFunc(wanted, parts[:len(wanted)], func(w, part string) bool { return w == "*" || w == part })
	})
}

// compare calls report for each leaf that differs.
func compare(path string, stock, annex any, report func(path string, stock, annex any)) {
	switch s := stock.(type) {
	case map[string]any:
		if a, ok := annex.(map[string]any); ok {
			keys := maps.Clone(s)
			maps.Copy(keys, a)
			for _, key := range slices.Sorted(maps.Keys(keys)) {
				compare(join(path, key), field(s, key), field(a, key), report)
			}
			return
		}
	case []any:
		if a, ok := annex.([]any); ok && len(a) == len(s) {
			for i := range s {
				compare(join(path, fmt.Sprint(i)), s[i], a[i], report)
			}
			return
		}
	}
	if !reflect.DeepEqual(stock, annex) {
		report(path, stock, annex)
	}
}

func join(path, part string) string {
	if path == "" {
		return part
	}
	return path + "." + part
}

func field(m map[string]any, key string) any {
	if value, ok := m[key]; ok {
		return value
	}
	return absent{}
}

func show(value any) string {
	if value == (absent{}) {
		return "nothing"
	}
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(data)
}
