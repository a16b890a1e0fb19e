package parity

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

func TestExpand_CombinesVariables(t *testing.T) {
	cases, err := expand("file", Case{
		Name:  "case",
		Steps: []Step{{Do: "GET /"}},
		Each:  map[string]any{"a": []any{"x", 5.0}, "b": map[string]any{"long": map[string]any{"repeat": "y", "times": 3.0}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) != 2 || cases[0].Name != "file/case [x] [long]" || cases[1].Name != "file/case [5] [long]" || cases[0].variables["b"] != "yyy" || cases[1].variables["a"] != 5.0 {
		t.Errorf("cases are %+v", cases)
	}
	if _, err := expand("file", Case{Name: "nothing to do"}); err == nil {
		t.Error("a case without steps is none")
	}
}

func TestSubstitute(t *testing.T) {
	variables := map[string]any{"ns": "n", "list": []any{1.0}}
	got, err := substitute(map[string]any{"$ns": "a-${ns}-$$ref", "whole": "$list", "in": []any{"$ns"}}, variables)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]any{"n": "a-n-$ref", "whole": []any{1.0}, "in": []any{"n"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := substitute("$other", variables); err == nil {
		t.Error("an unknown variable is no error")
	}
}

func answerOf(code int, body any) Answer {
	a := Answer{Code: code, Header: http.Header{"Content-Type": {"application/json"}, "Date": {"now"}}, Body: body}
	a.normalize(Step{})
	return a
}

func TestCompare_FindsWhatMatters(t *testing.T) {
	object := func(name, version string) map[string]any {
		return map[string]any{"metadata": map[string]any{"name": name, "resourceVersion": version, "annotations": map[string]any{"kcp.io/cluster": version}}, "list": []any{"a"}}
	}
	if diffs := Compare(1, Step{}, answerOf(200, object("a", "1")), answerOf(200, object("a", "2"))); len(diffs) != 0 {
		t.Errorf("equal answers differ: %v", diffs)
	}
	stock, annex := object("a", "1"), object("b", "")
	annex["list"] = []any{}
	var paths []string
	for _, diff := range Compare(1, Step{}, answerOf(200, stock), answerOf(200, annex)) {
		paths = append(paths, diff.Path)
	}
	if got, want := strings.Join(paths, " "), "body.list body.metadata.name body.metadata.resourceVersion"; got != want {
		t.Errorf("paths are %s, want %s", got, want)
	}
	if diffs := Compare(1, Step{Only: []string{"header"}}, answerOf(200, stock), answerOf(200, annex)); len(diffs) != 0 {
		t.Errorf("what is not compared differs: %v", diffs)
	}
	if diffs := Compare(1, Step{Ignore: []string{"body"}}, answerOf(200, stock), answerOf(404, annex)); len(diffs) != 1 || diffs[0].Path != "code" {
		t.Errorf("another code is %v", diffs)
	}
}

func TestPick_SortsAndKeeps(t *testing.T) {
	for name, c := range map[string]struct {
		values []string
		want   string
	}{
		"some": {[]string{"c", "b"}, `{"groups":[{"resources":[{"name":"b"},{"name":"c"}]},{}]}`},
		"all":  {nil, `{"groups":[{"resources":[{"name":"a"},{"name":"b"},{"name":"c"}]},{}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			var body any
			if err := json.Unmarshal([]byte(`{"groups": [{"resources": [{"name": "c"}, {"name": "a"}, {"name": "b"}]}, {}]}`), &body); err != nil {
				t.Fatal(err)
			}
			Pick{List: "groups[].resources", By: "name", Values: c.values}.apply(body)
			if got := show(body); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestNormalizePrinted_RemovesTheAnnotation(t *testing.T) {
	for printed, want := range map[string]string{
		"metadata:\n  annotations:\n    kcp.io/cluster: abc\n  name: a\n":           "metadata:\n  name: a\n",
		"metadata:\n  annotations:\n    a: b\n    kcp.io/cluster: abc\n  name: a\n": "metadata:\n  annotations:\n    a: b\n  name: a\n",
		"- metadata:\n    annotations:\n      kcp.io/cluster: abc\n    name: a\n":   "- metadata:\n    name: a\n",
		"Annotations:  kcp.io/cluster: abc\n\nData\n":                               "Annotations:  <none>\n\nData\n",
		"NAME   AGE\na      12s\n":                                                  "NAME   AGE\na      <age>\n",
		"AGE   LABELS\n9s    <none>\n":                                              "AGE LABELS\n<age> <none>\n",
		"AGE    LABELS\n2m10s  <none>\n":                                            "AGE LABELS\n<age> <none>\n",
	} {
		if got := NormalizePrinted(printed); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestDifferences_ListedAndGone(t *testing.T) {
	d := &Differences{List: []Difference{{What: "here", Where: []Place{{At: []string{"body.*.x"}, name: regexp.MustCompile("^a/")}, {At: []string{"*"}, name: regexp.MustCompile("^b/")}}}}}
	unlisted := d.Unlisted("a/1", []Diff{{Path: "body.items.x.y"}, {Path: "body.items"}, {Path: "code"}})
	if len(unlisted) != 2 || unlisted[0].Path != "body.items" || unlisted[1].Path != "code" {
		t.Errorf("not listed: %v", unlisted)
	}
	if gone := d.Gone(); len(gone) != 0 {
		t.Errorf("gone before its cases ran: %v", gone)
	}
	d.Unlisted("b/1", nil)
	if gone := d.Gone(); len(gone) != 1 {
		t.Errorf("gone: %v, want the one of b", gone)
	}
}
