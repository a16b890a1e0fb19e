package parity

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Answer is what a server answered.
type Answer struct {
	Code   int
	Header http.Header
	Body   any   // as JSON has it; a string for what is no object
	Events []any // of a watch
	// Envelope is what stands around the body in its encoding.
	Envelope map[string]any
}

// namespaced is the path of a collection of objects inside a namespace.
var namespaced = regexp.MustCompile(`/namespaces/[^/]+/`)

// created returns the path of the object outside of namespaces that r has made, or "".
func (a Answer) created(r request) string {
	path, query, _ := strings.Cut(r.path, "?")
	if a.Code != http.StatusCreated || namespaced.MatchString(path) || strings.Contains(query, "dryRun") {
		return ""
	}
	name, _ := valueAt(a.Body, "metadata.name").(string)
	switch {
	case name == "":
		return ""
	case r.method == http.MethodPost:
		return path + "/" + url.PathEscape(name)
	}
	return path
}

// tree returns the answer as one value; the paths of differences begin at its root.
func (a Answer) tree() map[string]any {
	tree := map[string]any{"code": float64(a.Code)}
	headers := map[string]any{}
	for name, values := range a.Header {
		list := make([]any, len(values))
		for i, value := range values {
			list[i] = value
		}
		headers[name] = list
	}
	tree["header"] = headers
	if a.Events != nil {
		tree["events"] = a.Events
		return tree
	}
	tree["body"] = a.Body
	if a.Envelope != nil {
		tree["envelope"] = a.Envelope
	}
	return tree
}

// summary is the code, with the message of an error.
func (a Answer) summary() string {
	if message, ok := valueAt(a.Body, "message").(string); ok {
		return fmt.Sprintf("%d: %s", a.Code, message)
	}
	return fmt.Sprint(a.Code)
}

// valueAt returns the value at a path such as `metadata.name` or `items.0.status`, nil if there is none.
func valueAt(value any, path string) any {
	for part := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}
