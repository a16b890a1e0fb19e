package apiexport

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/serve"
)

const tables = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

// newWorldWithPaths has two consumers of an export, and one of another export with the same identity. All of them have paths.
func newWorldWithPaths(t *testing.T) *world {
	w := newWorldWithConsumers(t)
	w.endpoint.PathOf = func(cluster logicalcluster.Name) (logicalcluster.Path, bool) {
		return logicalcluster.Path("root:org:" + cluster.String()), cluster != "c2"
	}
	w.offer("other", "hash-things", "widgets")
	w.bind("c3", "b", "other", "hash-things", "widgets")
	w.must(request{method: http.MethodPost, export: "other", target: "c3", path: widgetsIn, body: widget("same", "c3")})
	return w
}

// grid returns a table as text, without ages.
func grid(raw []byte) (columns string, rows []string) {
	var table metav1.Table
	if err := json.Unmarshal(raw, &table); err != nil {
		return err.Error(), nil
	}
	var names []string
	for _, column := range table.ColumnDefinitions {
		names = append(names, column.Name)
	}
	for _, row := range table.Rows {
		object := "without object"
		if len(row.Object.Raw) > 0 && string(row.Object.Raw) != "null" {
			object = "with object"
		}
		rows = append(rows, fmt.Sprintf("%v %v %s", row.Cells[0], row.Cells[1], object))
	}
	return strings.Join(names, " "), rows
}

func TestShown_TablesHaveTheWorkspace(t *testing.T) {
	w := newWorldWithPaths(t)
	for query, object := range map[string]string{"": "with object", "?includeObject=None": "without object", "?includeObject=Object": "with object"} {
		recorder := httptest.NewRecorder()
		req := w.prepare(t.Context(), request{target: "*", path: "/apis/example.com/v1/widgets" + query, accept: tables})
		req.Header.Set("Accept-Encoding", "gzip")
		w.handler.ServeHTTP(recorder, req)
		columns, rows := grid(recorder.Body.Bytes())
		want := []string{"same root:org:c1 " + object, "same c2 " + object, "same c3 " + object} // of c2 nobody knows the path, c3 has told it another provider only
		if diff := cmp.Diff(want, rows); diff != "" || columns != "Name Workspace Age" || recorder.Code != http.StatusOK {
			t.Errorf("%q: %d, columns %s\n%s", query, recorder.Code, columns, diff)
		}
	}
	one := w.must(request{target: "c1", path: widgetsIn, accept: tables})
	if raw, err := json.Marshal(one.Object); err != nil || strings.Contains(string(raw), "Workspace") {
		t.Errorf("in one workspace: %s, %v", raw, err)
	}
	bindings := w.must(request{target: "*", path: "/apis/apis.kcp.io/v1alpha2/apibindings", accept: tables})
	raw, err := json.Marshal(bindings.Object)
	if err != nil {
		t.Fatal(err)
	}
	if columns, rows := grid(raw); !strings.HasPrefix(columns, "Name Workspace Age Ready") || len(rows) != 2 || rows[0] != "b root:org:c1 with object" {
		t.Errorf("%s, %v", columns, rows)
	}
}

func TestShown_ErrorsStayErrors(t *testing.T) {
	w := newWorldWithPaths(t)
	code, status := w.do(request{target: "*", path: "/apis/example.com/v1/widgets?labelSelector=!!", accept: tables})
	if code != http.StatusBadRequest || status.GetKind() != "Status" {
		t.Errorf("%d %v", code, status.Object)
	}
}

// object returns the object of the next event.
func (s *stream) object() []byte {
	s.t.Helper()
	line, err := s.lines.ReadBytes('\n')
	if err != nil {
		s.t.Fatal(err)
	}
	var event struct {
		Object json.RawMessage `json:"object"`
	}
	if err := json.Unmarshal(line, &event); err != nil {
		s.t.Fatal(err)
	}
	return event.Object
}

func TestShown_WatchesOfTables(t *testing.T) {
	w := newWorldWithPaths(t)
	version := w.must(request{target: "*", path: "/apis/example.com/v1/widgets"}).GetResourceVersion()
	s := w.watch(request{target: "*", path: "/apis/example.com/v1/widgets?watch=true&resourceVersion=" + version, accept: tables})
	for i, at := range []struct{ cluster, export, want string }{
		{"c1", "things", "new root:org:c1 with object"}, {"c2", "things", "new c2 with object"}, {"c3", "other", "new c3 with object"},
	} {
		w.must(request{method: http.MethodPost, export: at.export, target: at.cluster, path: widgetsIn, body: widget("new", "red")})
		columns, rows := grid(s.object())
		// Only the first event has columns.
		if len(rows) != 1 || rows[0] != at.want || (columns == "Name Workspace Age") != (i == 0) {
			t.Errorf("in %s: columns %q, rows %v", at.cluster, columns, rows)
		}
	}
}

func TestShown_ObjectsHaveThePathOnRequest(t *testing.T) {
	w := newWorldWithPaths(t)
	ask := func(value, accept, target, path string) (int, *unstructured.Unstructured) {
		recorder := httptest.NewRecorder()
		req := w.prepare(t.Context(), request{target: target, path: path, accept: accept})
		req.Header.Set(serve.PathHeader, value)
		w.handler.ServeHTTP(recorder, req)
		obj := &unstructured.Unstructured{Object: map[string]any{}}
		if err := json.Unmarshal(recorder.Body.Bytes(), &obj.Object); err != nil {
			t.Fatal(err, recorder.Body)
		}
		return recorder.Code, obj
	}
	paths := func(list *unstructured.Unstructured) []string {
		var all []string
		for _, item := range list.Object["items"].([]any) {
			obj := &unstructured.Unstructured{Object: item.(map[string]any)}
			color, _, _ := unstructured.NestedString(obj.Object, "spec", "color")
			all = append(all, color+" "+obj.GetAnnotations()[logicalcluster.PathAnnotationKey])
		}
		return all
	}
	const all = "/apis/example.com/v1/widgets"
	for value, want := range map[string][]string{"true": {"c1 root:org:c1", "c2 ", "c3 "}, "false": {"c1 ", "c2 ", "c3 "}, "": {"c1 ", "c2 ", "c3 "}} {
		code, list := ask(value, "", "*", all)
		if diff := cmp.Diff(want, paths(list)); diff != "" || code != http.StatusOK {
			t.Errorf("%q: %d\n%s", value, code, diff)
		}
	}
	if code, _ := ask("perhaps", "", "*", all); code != http.StatusBadRequest {
		t.Errorf("a value that is none: %d", code)
	}
	if one := w.must(request{target: "c1", path: widgetsIn + "/same"}); one.GetAnnotations()[logicalcluster.PathAnnotationKey] != "" {
		t.Errorf("the path is stored: %v", one.GetAnnotations())
	}
}
