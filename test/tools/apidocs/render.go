package main

import (
	"fmt"
	"slices"
	"strings"
)

const head = `# API reference

<!-- Written by test/tools/apidocs from the Go types below apis/. Change the comments there and run make generate. -->

The groups that Annex adds to the Kubernetes API. The wire format is that of kcp. A field marked "not supported yet"
exists, but the server refuses a request that sets it.

`

// render returns the reference of packages in Markdown.
func render(packages []*apiPackage) string {
	r := renderer{packages: packages}
	r.b.WriteString(head)
	for _, p := range packages {
		for _, name := range p.order {
			if t := p.types[name]; t.kind {
				fmt.Fprintf(&r.b, "- [%s](#%s) %s/%s\n", t.name, anchor(p, t.name), p.group, p.version)
			}
		}
	}
	for _, p := range packages {
		r.renderPackage(p)
	}
	return r.b.String()
}

type renderer struct {
	b        strings.Builder
	packages []*apiPackage
}

func (r *renderer) renderPackage(p *apiPackage) {
	if p.group == "" {
		fmt.Fprintf(&r.b, "\n## Parts: %s\n", p.importPath)
	} else {
		fmt.Fprintf(&r.b, "\n## %s/%s\n", p.group, p.version)
	}
	used := r.used(p)
	for _, wantKind := range []bool{true, false} {
		for _, name := range p.order {
			t := p.types[name]
			if t.kind == wantKind && (t.kind || used[name]) && !strings.HasPrefix(t.under, "[]") {
				r.renderType(p, t)
			}
		}
	}
}

// used returns the types of p that can be reached from a kind of any package.
func (r *renderer) used(p *apiPackage) map[string]bool {
	reached := map[string]bool{}
	var visit func(goType string)
	visit = func(goType string) {
		goType = strings.TrimPrefix(goType, "[]")
		_, t := r.lookup(goType)
		if t == nil || reached[goType] {
			return
		}
		reached[goType] = true
		visit(t.under)
		for _, f := range r.fields(t) {
			visit(f.goType)
		}
	}
	for _, q := range r.packages {
		for _, t := range q.types {
			if t.kind {
				visit(q.importPath + "." + t.name)
			}
		}
	}
	used := map[string]bool{}
	for name := range p.types {
		used[name] = reached[p.importPath+"."+name]
	}
	return used
}

func (r *renderer) lookup(goType string) (*apiPackage, *apiType) {
	for _, p := range r.packages {
		if name, ok := strings.CutPrefix(goType, p.importPath+"."); ok {
			return p, p.types[name]
		}
	}
	return nil, nil
}

func (r *renderer) renderType(p *apiPackage, t *apiType) {
	fmt.Fprintf(&r.b, "\n<a id=\"%s\"></a>\n### %s\n\n%s\n", anchor(p, t.name), t.name, t.doc)
	if len(t.values) > 0 {
		r.b.WriteString("\n| Value | Meaning |\n|---|---|\n")
		for _, v := range t.values {
			fmt.Fprintf(&r.b, "| `%s` | %s |\n", v.name, cell(v.doc))
		}
	}
	fields := r.fields(t)
	if len(fields) == 0 {
		return
	}
	r.b.WriteString("\n| Field | Type | Description |\n|---|---|---|\n")
	for _, f := range fields {
		text := afterName(f.doc)
		if f.required {
			text += " **Required.**"
		}
		if f.fallback != "" {
			text += fmt.Sprintf(" Default: `%s`.", f.fallback)
		}
		fmt.Fprintf(&r.b, "| `%s` | %s | %s |\n", f.name, r.typeLink(f), cell(text))
	}
}

// fields returns the fields of t on the wire: those of inlined structs stand in the place of these.
func (r *renderer) fields(t *apiType) []field {
	var list []field
	for _, f := range t.fields {
		if !f.inline {
			list = append(list, f)
			continue
		}
		switch {
		case strings.HasSuffix(f.goType, "meta/v1.TypeMeta"):
			list = append(list,
				field{name: "apiVersion", goType: "string", doc: "apiVersion is the group and version."},
				field{name: "kind", goType: "string", doc: "kind is the kind."})
		case strings.HasSuffix(f.goType, "meta/v1.LabelSelector"):
			list = append(list,
				field{name: "matchLabels", goType: "string", mapping: true, doc: "matchLabels picks objects that have all these labels."},
				field{name: "matchExpressions", goType: "k8s.io/apimachinery/pkg/apis/meta/v1.LabelSelectorRequirement", list: true, doc: "matchExpressions picks objects that meet all these requirements."})
		default:
			if _, inner := r.lookup(f.goType); inner != nil {
				list = append(list, r.fields(inner)...)
			}
		}
	}
	return list
}

func (r *renderer) typeLink(f field) string {
	text := r.typeName(f.goType)
	switch {
	case f.list:
		return "list of " + text
	case f.mapping:
		return "map of " + text
	}
	return text
}

// typeName returns a link to a type of ours, and the short name of another.
func (r *renderer) typeName(goType string) string {
	if p, t := r.lookup(goType); t != nil {
		if strings.HasPrefix(t.under, "[]") {
			return "list of " + r.typeName(t.under[2:])
		}
		return fmt.Sprintf("[%s](#%s)", t.name, anchor(p, t.name))
	}
	known := map[string]string{
		"bool": "boolean", "int32": "integer", "int64": "integer", "base64": "string (base64)",
		"k8s.io/apimachinery/pkg/types.UID":            "string",
		"k8s.io/apimachinery/pkg/apis/meta/v1.Time":    "time",
		"k8s.io/apimachinery/pkg/runtime.RawExtension": "object",
		"k8s.io/api/core/v1.ConditionStatus":           "string",
	}
	if name, ok := known[goType]; ok {
		return name
	}
	parts := strings.Split(goType, "/")
	last := parts[len(parts)-1]
	if i := slices.Index(parts, "k8s.io"); i >= 0 && len(parts) > 2 {
		_, name, _ := strings.Cut(last, ".")
		return name + " (" + strings.Join(parts[len(parts)-2:len(parts)-1], "/") + "/" + strings.TrimSuffix(last, "."+name) + ")"
	}
	return last
}

func anchor(p *apiPackage, name string) string {
	return strings.ToLower(strings.NewReplacer("/", "-", ".", "-").Replace(p.importPath + "-" + name))
}

// cell makes text fit into a table, with a capital letter first.
func cell(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	text = strings.ReplaceAll(text, "|", `\|`)
	if text != "" {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	return text
}
