package openapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unique"

	"k8s.io/kube-openapi/pkg/spec3"
)

// text is JSON in pieces. Equal pieces are kept once, for as long as any text has them.
type text []unique.Handle[string]

// String implements fmt.Stringer.
func (t text) String() string {
	var all strings.Builder
	for _, piece := range t {
		all.WriteString(piece.Value())
	}
	return all.String()
}

// pieceBytes is about what a piece takes besides its characters.
const pieceBytes = 16

// entry is a path or a schema.
type entry struct {
	name string
	text text
	// hash is of kind, name and text.
	hash string
}

func newEntry(kind, name string, t text) entry {
	sum := sha256.Sum256(fmt.Append(nil, kind, " ", name, " ", t))
	return entry{name: name, text: t, hash: string(sum[:])}
}

// Part is what one resource adds to a document.
type Part struct {
	// head is the JSON of the version of OpenAPI and of the information about the server, without the bracket at its end.
	head           string
	paths, schemas []entry
}

// NewPart returns the paths and schemas of spec as a part.
func NewPart(spec *spec3.OpenAPI) (*Part, error) {
	content, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("encoding an OpenAPI document: %w", err)
	}
	return ParsePart(content)
}

// ParsePart returns the paths and schemas of a document in JSON as a part.
func ParsePart(content []byte) (*Part, error) {
	var document struct {
		Version    string                     `json:"openapi"`
		Info       json.RawMessage            `json:"info"`
		Paths      map[string]json.RawMessage `json:"paths"`
		Components struct {
			Schemas map[string]json.RawMessage `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(content, &document); err != nil {
		return nil, fmt.Errorf("reading an OpenAPI document: %w", err)
	}
	p := &Part{head: fmt.Sprintf(`{"openapi":%q,"info":%s`, document.Version, document.Info)}
	for _, name := range slices.Sorted(maps.Keys(document.Paths)) {
		t, err := cut(document.Paths[name])
		if err != nil {
			return nil, fmt.Errorf("reading an OpenAPI document: %s: %w", name, err)
		}
		p.paths = append(p.paths, newEntry("path", name, t))
	}
	for _, name := range slices.Sorted(maps.Keys(document.Components.Schemas)) {
		p.schemas = append(p.schemas, newEntry("schema", name, text{unique.Make(string(document.Components.Schemas[name]))}))
	}
	return p, nil
}

// cut returns the JSON of a path. Each list of parameters, of the path and of its operations, is a piece of its own, because the operations of
// most resources have the same ones.
func cut(path json.RawMessage) (text, error) {
	var t text
	var between bytes.Buffer
	end := func() {
		t = append(t, unique.Make(between.String()))
		between.Reset()
	}
	var write func(value json.RawMessage, depth int) error
	write = func(value json.RawMessage, depth int) error {
		var fields map[string]json.RawMessage
		// What is not an object, such as a description, is no object of operations or parameters either.
		if depth == 0 || value[0] != '{' {
			between.Write(value)
			return nil
		}
		if err := json.Unmarshal(value, &fields); err != nil {
			return err
		}
		between.WriteByte('{')
		for i, name := range slices.Sorted(maps.Keys(fields)) {
			if i > 0 {
				between.WriteByte(',')
			}
			between.WriteString(quote(name))
			between.WriteByte(':')
			if name == "parameters" {
				end()
				t = append(t, unique.Make(string(fields[name])))
				continue
			}
			if err := write(fields[name], depth-1); err != nil {
				return err
			}
		}
		between.WriteByte('}')
		return nil
	}
	if err := write(path, 2); err != nil {
		return nil, err
	}
	end()
	return t, nil
}

// quote returns name as JSON.
func quote(name string) string {
	quoted, _ := json.Marshal(name) // any string can be written
	return string(quoted)
}

// Bytes returns about how many bytes the part takes, without what is [usual].
func (p *Part) Bytes() int64 {
	shared := usual()
	var total int64
	for _, entries := range [][]entry{p.paths, p.schemas} {
		for _, e := range entries {
			total += int64(len(e.name) + len(e.hash))
			for _, piece := range e.text {
				total += pieceBytes
				if !shared[piece] {
					total += int64(len(piece.Value()))
				}
			}
		}
	}
	return total
}
