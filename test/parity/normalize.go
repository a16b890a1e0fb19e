package parity

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// comparedHeaders are the headers of an answer that tell a client something. The others name requests, times and lengths.
var comparedHeaders = []string{"Allow", "Cache-Control", "Content-Type", "Etag", "Location", "Retry-After", "Vary", "Warning", "Www-Authenticate"}

// clusterAnnotation names the workspace of an object. Every object of Annex has it, and no object of another server.
const clusterAnnotation = "kcp.io/cluster"

// administrators are the users that send the requests, in the order of the servers.
var administrators = []string{"host-admin", "kcp-admin"}

// random is how many characters follow a generateName.
const random = 5

var (
	uid = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	// versions in messages, as in "too old resource version: 1 (2)".
	version = regexp.MustCompile(`(resource version: )\d+(, current: \d+| \(\d+\))?`)
	// Where an object is in etcd, and the revision in which it is there.
	storedAs = regexp.MustCompile(`(Key: )/[^,]+,|(object not decodable revision=|the ResourceVersion in record \()\d+`)
	// What a message quotes of an object has these too, with quotes that are escaped once or twice.
	quotedAnnotation = regexp.MustCompile(`\\*"annotations\\*":\{\\*"kcp\.io/cluster\\*":\\*"\w+\\*"\},|,?\\*"annotations\\*":\{\\*"kcp\.io/cluster\\*":\\*"\w+\\*"\}`)
	quotedTime       = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
	quotedVersion    = regexp.MustCompile(`(\\*"resourceVersion\\*":\\*")\d+`)
	// ages in tables
	age = regexp.MustCompile(`^(\d+[smhdy])+$`)
)

// normalize removes what differs between any two servers: uids, resource versions, times, continue tokens, generated names, the
// annotation with the workspace, and headers that nobody reads.
func (a *Answer) normalize(step Step) {
	kept := http.Header{}
	for _, name := range comparedHeaders {
		if values, ok := a.Header[name]; ok {
			kept[name] = values
		}
	}
	if kept.Get("Etag") != "" {
		kept.Set("Etag", "<etag>")
	}
	a.Header = kept
	for _, pick := range step.Pick {
		pick.apply(a.Body)
	}
	a.Body = normalized(a.Body)
	for i := range a.Events {
		a.Events[i] = normalized(a.Events[i])
	}
	if causes, ok := valueAt(a.Body, "details.causes").([]any); ok && step.Unordered && len(causes) > 1 {
		slices.SortFunc(causes, func(x, y any) int { return strings.Compare(fmt.Sprint(x), fmt.Sprint(y)) })
		a.Body.(map[string]any)["message"] = "<the causes>"
	}
}

func normalized(value any) any {
	switch v := value.(type) {
	case string:
		return normalizedText(v)
	case []any:
		for i := range v {
			v[i] = normalized(v[i])
		}
		return v
	case map[string]any:
		if metadata, ok := v["metadata"].(map[string]any); ok {
			normalizeMetadata(metadata)
		}
		if cells, ok := v["cells"].([]any); ok {
			normalizeCells(cells)
		}
		normalizeRequester(v)
		out := make(map[string]any, len(v))
		for key := range v {
			out[uid.ReplaceAllString(key, "<uid>")] = normalized(v[key])
		}
		return out
	}
	return value
}

// normalizeCells removes the ages of a row of a table.
func normalizeCells(cells []any) {
	for i := range cells {
		if text, ok := cells[i].(string); ok && age.MatchString(text) {
			cells[i] = "<age>"
		}
	}
}

func normalizedText(text string) string {
	if _, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return "<time>"
	}
	if slices.Contains(administrators, text) {
		return "<administrator>"
	}
	text = version.ReplaceAllString(uid.ReplaceAllString(text, "<uid>"), "${1}<version>")
	text = storedAs.ReplaceAllString(text, "${1}${2}<stored>")
	if !strings.Contains(text, `"`) {
		return text
	}
	text = quotedTime.ReplaceAllString(quotedAnnotation.ReplaceAllString(text, ""), "<time>")
	return quotedVersion.ReplaceAllString(text, "${1}<version>")
}

// normalizeRequester removes from the spec of a request for a certificate what each server knows of its own administrator.
func normalizeRequester(spec map[string]any) {
	if name, ok := spec["username"].(string); !ok || !slices.Contains(administrators, name) || spec["signerName"] == nil {
		return
	}
	for _, field := range []string{"uid", "groups", "extra"} {
		delete(spec, field)
	}
}

func normalizeMetadata(metadata map[string]any) {
	if v, ok := metadata["resourceVersion"].(string); ok && v != "" {
		metadata["resourceVersion"] = "<version>"
	}
	if v, ok := metadata["continue"].(string); ok && v != "" {
		metadata["continue"] = "<token>"
	}
	if prefix, ok := metadata["generateName"].(string); ok {
		if name, ok := metadata["name"].(string); ok && len(name) > random && strings.HasPrefix(prefix, name[:len(name)-random]) {
			metadata["name"] = name[:len(name)-random] + "<random>"
		}
	}
	if annotations, ok := metadata["annotations"].(map[string]any); ok {
		delete(annotations, clusterAnnotation)
		if len(annotations) == 0 {
			delete(metadata, "annotations")
		}
	}
	// Entries of the same second are in the order of their managers, others in the order of time.
	if managers, ok := metadata["managedFields"].([]any); ok {
		slices.SortFunc(managers, func(x, y any) int { return strings.Compare(managerKey(x), managerKey(y)) })
	}
}

func managerKey(entry any) string {
	return fmt.Sprint(valueAt(entry, "manager"), valueAt(entry, "operation"), valueAt(entry, "apiVersion"), valueAt(entry, "subresource"))
}

// apply keeps the wanted elements of the list in body.
func (p Pick) apply(body any) {
	head, rest, nested := strings.Cut(p.List, "[].")
	if nested {
		elements, _ := valueAt(body, head).([]any)
		for _, element := range elements {
			Pick{List: rest, By: p.By, Values: p.Values}.apply(element)
		}
		return
	}
	parent := body
	name := p.List
	if i := strings.LastIndex(p.List, "."); i >= 0 {
		parent, name = valueAt(body, p.List[:i]), p.List[i+1:]
	}
	holder, ok := parent.(map[string]any)
	if !ok {
		return
	}
	elements, ok := holder[name].([]any)
	if !ok {
		return
	}
	key := func(element any) string { return fmt.Sprint(valueAt(element, p.By)) }
	elements = slices.DeleteFunc(slices.Clone(elements), func(element any) bool { return len(p.Values) > 0 && !slices.Contains(p.Values, key(element)) })
	slices.SortFunc(elements, func(x, y any) int { return strings.Compare(key(x), key(y)) })
	holder[name] = elements
}
