package openapi

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/kube-openapi/pkg/handler3"
)

// common are the prefixes of the names of schemas that every custom resource refers to.
var common = []string{"io.k8s.apimachinery.pkg.apis.meta.v1.", "io.k8s.api.autoscaling.v1."}

func isCommon(schema string) bool {
	return slices.ContainsFunc(common, func(prefix string) bool { return strings.HasPrefix(schema, prefix) })
}

// Document is the document of several parts.
type Document struct {
	head           string
	paths, schemas []entry
}

// Merge returns the document of parts. A schema of a later part must be the same as that of an earlier one, unless every custom resource
// refers to it; then the first one stands.
func Merge(parts ...*Part) (*Document, error) {
	if len(parts) == 0 {
		return nil, errors.New("an OpenAPI document needs a part")
	}
	paths, schemas := map[string]entry{}, map[string]entry{}
	for _, part := range parts {
		for _, e := range part.paths {
			paths[e.name] = e
		}
		for _, e := range part.schemas {
			known, ok := schemas[e.name]
			if ok && !isCommon(e.name) && known.hash != e.hash {
				return nil, fmt.Errorf("two resources of an OpenAPI document have different schemas %s", e.name)
			}
			if !ok {
				schemas[e.name] = e
			}
		}
	}
	return &Document{head: parts[0].head, paths: sorted(paths), schemas: sorted(schemas)}, nil
}

func sorted(byName map[string]entry) []entry {
	entries := make([]entry, 0, len(byName))
	for _, e := range byName {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	return entries
}

// JSON returns the document in JSON.
func (d *Document) JSON() Content {
	var c Content
	c.add(d.head, `,"paths":{`)
	c.addEntries(d.paths)
	c.add(`},"components":{"schemas":{`)
	c.addEntries(d.schemas)
	c.add(`}}}`)
	return c
}

// Protobuf returns the document in protobuf. Each path and each schema is converted on its own, which takes long. So kept returns what is
// kept for a hash, or what convert returns.
func (d *Document) Protobuf(kept func(hash string, convert func() (string, error)) (string, error)) (Content, error) {
	var c Content
	for _, of := range []struct {
		entries []entry
		format  string // a document with one of them
	}{{d.paths, `%s,"paths":{%s:%s}}`}, {d.schemas, `%s,"paths":{},"components":{"schemas":{%s:%s}}}`}} {
		for _, e := range of.entries {
			message, err := kept(d.head+e.hash, func() (string, error) {
				message, err := handler3.ToV3ProtoBinary(fmt.Appendf(nil, of.format, d.head, quote(e.name), e.text))
				return string(message), err
			})
			if err != nil {
				return Content{}, fmt.Errorf("converting %s of an OpenAPI document: %w", e.name, err)
			}
			c.add(message)
		}
	}
	return c, nil
}
